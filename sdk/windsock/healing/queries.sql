-- The quarantine's statements, each by the name in its first line.

-- name: limits
-- Bounds a wait on a lock, and how long this process holds its own when it is frozen. Local to the transaction, so
-- that it works through a transaction pooler.
select pg_catalog.set_config('statement_timeout', '10s', true),
       pg_catalog.set_config('idle_in_transaction_session_timeout', '10s', true);

-- name: report
-- One fault; a repeated report changes nothing.
insert into windsock.faults (id, flag, variant, field, fingerprint, value, error, request_id)
values (%(id)s, %(flag)s, %(variant)s, %(field)s, %(fingerprint)s, %(value)s,
        %(error)s, %(request_id)s)
on conflict (id) do nothing;

-- name: withdraw
-- One value that a process has withdrawn. One that is in force stays as it is.
insert into windsock.withdrawals as w (flag, variant, field, fingerprint, value, reason, expires_at)
values (%(flag)s, %(variant)s, %(field)s, %(fingerprint)s, %(value)s,
        %(reason)s, pg_catalog.now() + %(left)s::float8 * interval '1 second')
on conflict (flag, variant, field, fingerprint) do update
set reason = excluded.reason, withdrawn_at = pg_catalog.now(), expires_at = excluded.expires_at, lifted_at = null
where w.lifted_at is not null or w.expires_at <= pg_catalog.now();

-- name: withdraw_reported
-- What failed in enough requests of all processes together, since it was last withdrawn or lifted.
insert into windsock.withdrawals as w (flag, variant, field, fingerprint, value, reason, expires_at)
select f.flag, f.variant, f.field, f.fingerprint, pg_catalog.max(f.value),
       pg_catalog.format(
           'failed in %%s requests: %%s', pg_catalog.count(distinct f.request_id), pg_catalog.max(f.error)
       ),
       pg_catalog.now() + %(expiry)s::float8 * interval '1 second'
from windsock.faults f
left join windsock.withdrawals old using (flag, variant, field, fingerprint)
where f.reported_at > pg_catalog.now() - %(memory)s::float8 * interval '1 second'
    and f.reported_at > coalesce(old.lifted_at, old.expires_at, '-infinity')
group by f.flag, f.variant, f.field, f.fingerprint
having pg_catalog.count(distinct f.request_id) >= %(faults)s
on conflict (flag, variant, field, fingerprint) do update
set reason = excluded.reason, withdrawn_at = pg_catalog.now(), expires_at = excluded.expires_at, lifted_at = null
where w.lifted_at is not null or w.expires_at <= pg_catalog.now();

-- name: lift
-- One value is served again. The row stays, and tells that it was lifted.
update windsock.withdrawals
set lifted_at = pg_catalog.now()
where flag = %(flag)s and variant = %(variant)s and field = %(field)s and fingerprint = %(fingerprint)s
    and lifted_at is null;

-- name: in_force
-- What is withdrawn now, with the seconds that are left by the database's own clock. The oldest 10,000 and 10 MB of values:
-- whoever may write withdrawals can't fill the memory of every service with them.
select flag, variant, field, fingerprint, value, reason, extract(epoch from expires_at - pg_catalog.now())::float8
from (
    select *, pg_catalog.sum(pg_catalog.octet_length(value)) over (
        order by withdrawn_at, flag, variant, field, fingerprint) as total
    from windsock.withdrawals
    where lifted_at is null and expires_at > pg_catalog.now()
) oldest
where coalesce(total, 0) <= 10000000
order by withdrawn_at, flag, variant, field, fingerprint
limit 10000;

-- name: sees_mirrors
-- Whether this role may know what the mirrors report; databases of older migrations don't have the table.
select coalesce(pg_catalog.has_table_privilege(pg_catalog.to_regclass('windsock.mirrors'), 'select'), false);

-- name: mirrors
-- What each mirror that leads a group last reported: seconds since its documents were known to be right, and what is
-- wrong. One that no longer reports has stopped.
select group_name, extract(epoch from pg_catalog.now() - right_at)::float8,
       case when pg_catalog.now() - reported_at > interval '1 minute' then 'it no longer reports' else trouble end
from windsock.mirrors
order by group_name;

-- name: forget
-- Faults that no count will include again.
delete from windsock.faults where reported_at < pg_catalog.now() - interval '1 day';
