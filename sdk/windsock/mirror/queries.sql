-- name: prepare_session
-- Row level security must be an error, not silence; a stuck query must end; nothing of ours may depend on a path;
-- compiling costs more than any of these queries wins by it.
select pg_catalog.set_config('row_security', 'off', false),
       pg_catalog.set_config('search_path', '', false),
       pg_catalog.set_config('statement_timeout', '60s', false),
       pg_catalog.set_config('idle_in_transaction_session_timeout', '60s', false),
       pg_catalog.set_config('bytea_output', 'hex', false),
       pg_catalog.set_config('jit', 'off', false);

-- name: lift_limits
-- Limits of the database or the role that would end a session which waits for changes, or a long reading. By name,
-- because no version has them all.
select pg_catalog.set_config(name, '0', false)
from pg_catalog.pg_settings
where name in ('idle_session_timeout', 'transaction_timeout');

-- name: notice_a_dead_machine
-- A mirror whose machine or network is gone must lose the lead within seconds, as one that ends does; by default the
-- server asks a silent session after two hours. Without effect where the session uses a Unix socket.
select pg_catalog.set_config(name, value, false)
from pg_catalog.pg_settings
join (values ('tcp_keepalives_idle', '5'), ('tcp_keepalives_interval', '2'), ('tcp_keepalives_count', '3')) chosen (name, value)
    using (name);

-- name: read_on
-- A long answer has an end, but no time: the mirror, which writes documents meanwhile, gives up a stream that stands still.
select pg_catalog.set_config('statement_timeout', '0', true);

-- name: bound_locks
-- A lock that somebody holds for long fails the statement that waits for it, before the connection is given up.
select pg_catalog.set_config('lock_timeout', %(patience)s, false);

-- name: wait_briefly_for_locks
-- A table that somebody has locked costs a second, not the connection; it is looked at again later.
select pg_catalog.set_config('lock_timeout', '1s', true);

-- name: read_capability
-- What this database can serve: whether changes are logged by enabled triggers, and whether the table of withdrawn values
-- may be read; databases of older migrations do not have it.
select
    exists (select from pg_catalog.pg_attribute
            where attrelid = pg_catalog.to_regclass('public.profiles')::oid and attname = 'config_id' and not attisdropped),
    pg_catalog.to_regclass('public.app_configurations') is not null,
    coalesce(pg_catalog.has_schema_privilege(pg_catalog.to_regnamespace('windsock'), 'usage'), false)
        and coalesce(pg_catalog.has_table_privilege(pg_catalog.to_regclass('windsock.changes'), 'select'), false)
        and coalesce(pg_catalog.has_table_privilege(pg_catalog.to_regclass('windsock.change_log_cut'), 'select'), false)
        and (select pg_catalog.count(*) from pg_catalog.pg_trigger
             where tgname in ('windsock_inserted', 'windsock_updated', 'windsock_reassigned', 'windsock_deleted',
                              'windsock_truncated')
                 and tgenabled <> 'D'
                 and tgrelid in (pg_catalog.to_regclass('public.profiles')::oid,
                                 pg_catalog.to_regclass('public.app_configurations')::oid)) = 8,
    coalesce(pg_catalog.has_schema_privilege(pg_catalog.to_regnamespace('windsock'), 'usage'), false)
        and coalesce(pg_catalog.has_table_privilege(pg_catalog.to_regclass('windsock.withdrawals'), 'select'), false),
    coalesce(pg_catalog.has_schema_privilege(pg_catalog.to_regnamespace('windsock'), 'usage'), false)
        and coalesce(pg_catalog.has_table_privilege(
            pg_catalog.to_regclass('windsock.mirrors'), 'select, insert, update'), false)
        and coalesce(pg_catalog.has_table_privilege(pg_catalog.to_regclass('windsock.mirrors'), 'update'), false);

-- name: report
-- The mirror that leads is at work; how long ago its documents were right, by this server's clock.
insert into windsock.mirrors as mirrors (group_name, folder, reported_at, right_at, trouble)
values (%(group)s, %(folder)s, pg_catalog.now(), pg_catalog.now() - %(age)s::float8 * interval '1 second',
        %(trouble)s)
on conflict (group_name) do update
set folder = excluded.folder, reported_at = excluded.reported_at,
    right_at = coalesce(excluded.right_at, mirrors.right_at), trouble = excluded.trouble;

-- name: leader
-- What the mirror that leads a group last said, and how many seconds ago; beside it, who holds the lock.
select mirrors.folder, extract(epoch from pg_catalog.now() - mirrors.reported_at)::float8,
       extract(epoch from pg_catalog.now() - mirrors.right_at)::float8, mirrors.trouble,
       (select pg_catalog.format('session %%s of role %%s', activity.pid, activity.usename)
        from pg_catalog.pg_locks locks
        join pg_catalog.pg_stat_activity activity using (pid)
        where locks.locktype = 'advisory' and locks.granted and locks.objsubid = 1
            and locks.database = (select oid from pg_catalog.pg_database where datname = pg_catalog.current_database())
            and (locks.classid::bigint << 32 | locks.objid::bigint)
                = pg_catalog.hashtextextended('windsock mirror ' || %(group)s, 0)
        limit 1)
from (select) one
left join windsock.mirrors on group_name = %(group)s;

-- name: try_lead
-- One leader for each group of mirrors, for as long as its session lives.
select pg_catalog.pg_try_advisory_lock(pg_catalog.hashtextextended('windsock mirror ' || %(group)s, 0));

-- name: hold_nonce
-- A lock that nobody else can hold, unless a pooler gave two clients one session.
select pg_catalog.pg_try_advisory_lock(pg_catalog.hashtextextended(%(nonce)s, 1));

-- name: drop_nonce
-- The counterpart of hold_nonce.
select pg_catalog.pg_advisory_unlock(pg_catalog.hashtextextended(%(nonce)s, 1));

-- name: listen
-- Wake-ups of the triggers. The payload is always empty: a longer one could fail the application's own write.
listen windsock;

-- name: listen_to_self
-- The channel on which a mirror hears itself.
listen windsock_self;

-- name: unlisten
-- The counterpart of both, for a session that turns out to be shared.
unlisten *;

-- name: never_woken
-- Whether the triggers notify nobody: a transaction that has notified can't be prepared.
select pg_catalog.current_setting('max_prepared_transactions') <> '0';

-- name: fall_asleep
-- From now on the triggers notify; false while a change is in progress whose transaction notifies nobody. The number is
-- the one in windsock.wake_mirror().
select pg_catalog.pg_try_advisory_lock(8603657889541918571);

-- name: wake_up
-- The counterpart of fall_asleep.
select pg_catalog.pg_advisory_unlock(8603657889541918571);

-- name: notify_self
-- Proof that notifications still arrive.
select pg_catalog.pg_notify('windsock_self', %(nonce)s);

-- name: begin_reading
-- Everything that belongs together is read in one snapshot.
begin transaction isolation level repeatable read, read only;

-- name: snapshot
-- The snapshot of this transaction: what it sees, the next reading need not read.
select pg_catalog.pg_current_snapshot()::text;

-- name: all_configurations
-- Every configuration. Settings above the limit stay in the database: only their size is needed.
select id::text, name, coalesce(is_active, true),
       case when pg_catalog.octet_length(settings::text) <= %(limit)s then settings::text end,
       pg_catalog.octet_length(settings::text)
from public.app_configurations
order by id;

-- name: some_configurations
-- The configurations that changed; one that is missing from the answer is gone.
select id::text, name, coalesce(is_active, true),
       case when pg_catalog.octet_length(settings::text) <= %(limit)s then settings::text end,
       pg_catalog.octet_length(settings::text)
from public.app_configurations
where id = any(%(ids)s::uuid[]);

-- name: withdrawals
-- The values of configurations that are not to be served, because they failed in use: flag, configuration, field.
-- Withdrawn values of Git's flags are in the same table, and are none of the mirror's. The oldest: whoever may write
-- withdrawals can't fill the mirror's memory with them.
select flag, variant, field, fingerprint
from windsock.withdrawals
where lifted_at is null and expires_at > pg_catalog.now() and flag like '%.profile'
    and exists (select from public.app_configurations c where c.id::text = variant)
order by withdrawn_at, flag, variant, field, fingerprint
limit 100000;

-- name: profile_counts
-- How many users each configuration has, and how many have none: what the guard against mass removal compares.
select config_id::text, pg_catalog.count(*) from public.profiles group by config_id;

-- name: assignment_tallies
-- How many users each configuration has, and the sum of the hashes of their ids: what nobody logged shows in them.
select config_id::text, pg_catalog.count(*), pg_catalog.sum(pg_catalog.hashtextextended(id::text collate "C", 0))::text
from public.profiles
where config_id is not null and id::text <> ''
group by config_id;

-- name: all_assignments
-- Every assignment, gathered by the server into one list a shard and configuration, in the documents' own form:
-- JSON strings in code point order. The shard is that of windsock.flag_names.shard_of. An empty id would
-- be everybody who sends an empty targeting key, so it is left out. {key} is the id as it sorts in that order, for
-- which a uuid need not become text; most of the time goes into sorting.
copy (
    select shard, config_id::text,
           pg_catalog.string_agg(pg_catalog.to_json(user_id)::text, ',' order by user_id),
           pg_catalog.count(*),
           pg_catalog.sum(hash)
    from (
        select
            ('x' || pg_catalog.left(
                pg_catalog.encode(pg_catalog.sha256(pg_catalog.convert_to(id::text, 'UTF8')), 'hex'), 8
            ))::bit(32)::bigint
                % {shards} as shard,
            config_id,
            {key} as user_id,
            pg_catalog.hashtextextended(id::text collate "C", 0) as hash
        from public.profiles
        where config_id is not null and id::text <> ''
    ) assignments
    group by shard, config_id
    order by shard, config_id
) to stdout;

-- name: changes_since
-- The keys that transactions changed which the snapshot :since did not see. By snapshot and not by sequence or
-- time, because transactions do not end in the order in which they began. A transaction number of the future is of
-- another server: the log came with a dump.
select distinct changed_table, row_id
from windsock.changes
where xid >= pg_catalog.pg_snapshot_xmin(%(since)s::pg_snapshot)
    and not pg_catalog.pg_visible_in_snapshot(xid, %(since)s::pg_snapshot)
    and xid < pg_catalog.pg_snapshot_xmax(pg_catalog.pg_current_snapshot())
limit %(limit)s;

-- name: transactions_since
-- How many transactions those are: how far behind the documents were.
select pg_catalog.count(distinct xid)
from windsock.changes
where xid >= pg_catalog.pg_snapshot_xmin(%(since)s::pg_snapshot)
    and not pg_catalog.pg_visible_in_snapshot(xid, %(since)s::pg_snapshot)
    and xid < pg_catalog.pg_snapshot_xmax(pg_catalog.pg_current_snapshot());

-- name: log_cut
-- Up to which transaction the log has been cut, and whether it has lost rows that the snapshot :since did not see, if
-- that is not as it was then.
select xid::text,
       xid >= pg_catalog.pg_snapshot_xmin(%(since)s::pg_snapshot)
       and xid < pg_catalog.pg_snapshot_xmax(pg_catalog.pg_current_snapshot())
from windsock.change_log_cut;

-- name: some_assignments
-- The assignments that changed, with the hash of each id; a user who is gone has none. {id_type} is the type of
-- profiles.id.
select changed.id, config_id::text, pg_catalog.hashtextextended(changed.id collate "C", 0)
from pg_catalog.unnest(%(ids)s::text[]) changed (id)
left join public.profiles on profiles.id = changed.id::{id_type};

-- name: cut_log
-- Forget what every mirror should have read, the oldest first and not all at once: after a long time without a mirror
-- the log may be longer than one statement has time for.
select windsock.cut_log(%(keep)s::interval, %(most)s);
