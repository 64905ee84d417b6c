-- A dump that is restored into another server brings that server's transaction ids. Where they are higher than any that
-- this server has given, the log's cut stayed in the future, and a mirror that was behind was not told to read everything.
-- As before, but first it forgets such ids. Its own transaction's may be as high as the snapshot's end, and are kept.
create or replace function windsock.cut_log(keep pg_catalog.interval, most bigint) returns pg_catalog.void
language sql security definer set search_path = pg_catalog, pg_temp
as $$
    delete from windsock.change_log
    where xid >= pg_catalog.pg_snapshot_xmax(pg_catalog.pg_current_snapshot())
        and xid is distinct from pg_catalog.pg_current_xact_id_if_assigned();
    update windsock.change_log_cut set xid = '0'
    where xid >= pg_catalog.pg_snapshot_xmax(pg_catalog.pg_current_snapshot())
        and xid is distinct from pg_catalog.pg_current_xact_id_if_assigned();
    with old as (
        delete from windsock.change_log
        where ctid = any (array(
            select ctid from windsock.change_log
            where logged_at < pg_catalog.now() - keep
                and xid < pg_catalog.pg_snapshot_xmin(pg_catalog.pg_current_snapshot())
            order by xid
            limit most
        ))
        returning xid, changed_table, row_id
    ), restless as (
        select row_id from old where changed_table = 'profiles' group by row_id having pg_catalog.count(*) > 1
    ), forgotten as (
        delete from windsock.assignment_history h
        using restless
        where h.user_id = restless.row_id
            and h.changed_at < pg_catalog.now() - keep
            and exists (
                select from windsock.assignment_history later
                where later.user_id = h.user_id
                    and (later.changed_at, later.id) > (h.changed_at, h.id)
                    and pg_catalog.date_trunc('minute', later.changed_at)
                        = pg_catalog.date_trunc('minute', h.changed_at)
            )
    ), newest as (
        select xid from old order by xid desc limit 1 -- max() knows xid8 only since PostgreSQL 15
    )
    update windsock.change_log_cut
    set xid = greatest(change_log_cut.xid, newest.xid)
    from newest
$$;
revoke all on function windsock.cut_log(pg_catalog.interval, bigint) from public;
