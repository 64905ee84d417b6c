-- Rows of the history that name no user, as the user's id was too long for an index, tell a mirror that any row may have
-- changed and nothing else. They are cut with the change log; before, they stayed forever.

-- As before, with `nameless`.
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

-- The mirror reads the log through windsock.changes. One of an older version, which reads the table, finds that it may
-- not, and reads everything at each poll.
do $$
begin
    if exists (select from pg_catalog.pg_roles where rolname = 'windsock_mirror') then
        revoke select on windsock.change_log from windsock_mirror;
    end if;
end
$$;
