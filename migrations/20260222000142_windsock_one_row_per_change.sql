-- An assignment costs its transaction one row where it cost two: the history of assignments is their change log too. Each
-- of its rows now has the transaction that wrote it, 0 for those from before. Building the index keeps new rows waiting;
-- after a second they are left out, with a warning, and the mirror finds those changes within half a minute.

alter table windsock.assignment_history add column xid xid8 not null default '0';
alter table windsock.assignment_history
    alter column xid set default pg_catalog.pg_current_xact_id(),
    alter column user_id drop not null, -- null: an id that is too long for an index, so that any row may have changed
    drop constraint assignment_history_pkey,
    add primary key (xid, id); -- by transaction, for the mirror

-- Up to which transaction the history has been thinned.
alter table windsock.change_log_cut add column thinned xid8 not null default '0';

-- What the mirror follows.
create view windsock.changes as
select xid, changed_table, row_id from windsock.change_log
union all
select xid, 'profiles', user_id from windsock.assignment_history;

-- A mirror of an older version, which would follow the log alone, misses a trigger by this name. So it reads everything
-- at each poll until it is replaced.
alter trigger windsock_updated on public.profiles rename to windsock_reassigned;

-- As before, with one row, and without calling wake_mirror(), which does the same at more cost.
create or replace function windsock.log_assignments() returns pg_catalog.trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp set jit = off set lock_timeout = '1s'
as $$
declare
    most constant bigint := 10000; -- more are logged as "any row": a mirror reads everything then anyway
    longest constant bigint := 2000; -- bytes of an id that an index takes
    total bigint;
begin
    if tg_relid <> 'public.profiles'::pg_catalog.regclass then
        raise exception 'log_assignments() belongs to public.profiles';
    end if;
    if tg_op = 'INSERT' then
        insert into windsock.assignment_history (user_id, config_id)
        select case when pg_catalog.octet_length(id::pg_catalog.text) <= longest then id::pg_catalog.text end, config_id
        from new_rows
        where config_id is not null;
    elsif tg_op = 'DELETE' then
        insert into windsock.assignment_history (user_id)
        select case when pg_catalog.octet_length(id::pg_catalog.text) <= longest then id::pg_catalog.text end
        from old_rows
        where config_id is not null;
    else -- most updates of a profile are about something else and leave no row here
        insert into windsock.assignment_history (user_id, config_id)
        select case when pg_catalog.octet_length(user_id) <= longest then user_id end, config_id
        from (
            select coalesce(n.id, o.id)::pg_catalog.text as user_id, n.config_id
            from new_rows n
            full join old_rows o on o.id = n.id
            where n.config_id is distinct from o.config_id
        ) changed;
    end if;
    get diagnostics total = row_count;
    if total > most then
        insert into windsock.change_log (changed_table, row_id) values ('profiles', null);
    end if;
    if total > 0 then
        if not pg_catalog.pg_try_advisory_xact_lock_shared(8603657889541918571)
            and pg_catalog.current_setting('max_prepared_transactions') = '0'
            and pg_catalog.pg_notification_queue_usage() < 0.5
        then
            perform pg_catalog.pg_notify('windsock', '');
        end if;
    end if;
    return null;
exception when others then
    raise warning 'windsock: a change of profiles was not logged: %', sqlerrm;
    return null;
end
$$;
revoke all on function windsock.log_assignments() from public;

-- As before; but the history isn't cut, only thinned: of a user who was assigned again and again within a minute, it
-- keeps the minute's last. Its rows without a user say only that any row may have changed, and are cut with the log. The
-- transaction ids that a dump brought from a server with higher ones are forgotten in both.
create or replace function windsock.cut_log(keep pg_catalog.interval, most bigint) returns pg_catalog.void
language sql security definer set search_path = pg_catalog, pg_temp
as $$
    delete from windsock.change_log
    where xid >= pg_catalog.pg_snapshot_xmax(pg_catalog.pg_current_snapshot())
        and xid is distinct from pg_catalog.pg_current_xact_id_if_assigned();
    update windsock.assignment_history set xid = '0'
    where (xid, id) in (
        select xid, id from windsock.assignment_history
        where xid >= pg_catalog.pg_snapshot_xmax(pg_catalog.pg_current_snapshot())
            and xid is distinct from pg_catalog.pg_current_xact_id_if_assigned()
        limit most
    );
    update windsock.change_log_cut set xid = '0'
    where xid >= pg_catalog.pg_snapshot_xmax(pg_catalog.pg_current_snapshot())
        and xid is distinct from pg_catalog.pg_current_xact_id_if_assigned();
    update windsock.change_log_cut set thinned = '0'
    where thinned >= pg_catalog.pg_snapshot_xmax(pg_catalog.pg_current_snapshot());
    with old as (
        delete from windsock.change_log
        where ctid = any (array(
            select ctid from windsock.change_log
            where logged_at < pg_catalog.now() - keep
                and xid < pg_catalog.pg_snapshot_xmin(pg_catalog.pg_current_snapshot())
            order by xid
            limit most
        ))
        returning xid
    ), nameless as (
        delete from windsock.assignment_history
        where (xid, id) in (
            select xid, id from windsock.assignment_history
            where user_id is null
                and changed_at < pg_catalog.now() - keep
                and xid < pg_catalog.pg_snapshot_xmin(pg_catalog.pg_current_snapshot())
            order by changed_at
            limit most
        )
        returning xid
    ), newest as (
        select xid
        from (select xid from old union all select xid from nameless) gone
        order by xid desc limit 1 -- max() knows xid8 only since PostgreSQL 15
    )
    update windsock.change_log_cut
    set xid = greatest(change_log_cut.xid, newest.xid)
    from newest;
    with old as (
        select xid, user_id from windsock.assignment_history
        where xid > (select thinned from windsock.change_log_cut)
            and changed_at < pg_catalog.now() - keep
            and xid < pg_catalog.pg_snapshot_xmin(pg_catalog.pg_current_snapshot())
        order by xid
        limit most
    ), restless as (
        select user_id from old group by user_id having pg_catalog.count(*) > 1
    ), forgotten as (
        delete from windsock.assignment_history h
        using restless
        where h.user_id = restless.user_id
            and h.changed_at < pg_catalog.now() - keep
            and exists (
                select from windsock.assignment_history later
                where later.user_id = h.user_id
                    and (later.changed_at, later.id) > (h.changed_at, h.id)
                    and pg_catalog.date_trunc('minute', later.changed_at)
                        = pg_catalog.date_trunc('minute', h.changed_at)
            )
    ), newest as (
        select xid from old order by xid desc limit 1
    )
    update windsock.change_log_cut set thinned = newest.xid from newest
$$;
revoke all on function windsock.cut_log(pg_catalog.interval, bigint) from public;

-- `windsock forget` deletes a person's history, so it logs by itself that the person is unassigned.
do $$
begin
    if exists (select from pg_catalog.pg_roles where rolname = 'windsock_mirror') then
        grant select on windsock.changes to windsock_mirror;
    end if;
    if exists (select from pg_catalog.pg_roles where rolname = 'windsock_pruner') then
        grant insert (changed_table, row_id) on windsock.change_log to windsock_pruner;
    end if;
    if exists (select from pg_catalog.pg_roles where rolname = 'windsock_definer') then
        grant select (xid), update (xid) on windsock.assignment_history to windsock_definer;
    end if;
end
$$;
