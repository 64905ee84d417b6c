-- As before, but the time that it takes grows with the rows of one call alone: whoever was assigned a hundred thousand times
-- within minutes kept it busy for longer than the mirror waits, again and again, and so did a dump's log of millions.
-- Of a transaction's rows beyond `most`, none is thinned.
create or replace function windsock.cut_log(keep pg_catalog.interval, most bigint) returns pg_catalog.void
language sql security definer set search_path = pg_catalog, pg_temp
as $$
    delete from windsock.change_log
    where ctid = any (array(
        select ctid from windsock.change_log
        where xid >= pg_catalog.pg_snapshot_xmax(pg_catalog.pg_current_snapshot())
            and xid is distinct from pg_catalog.pg_current_xact_id_if_assigned()
        limit most
    ));
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
    with old as materialized (
        select xid, id, user_id, changed_at from windsock.assignment_history
        where xid > (select thinned from windsock.change_log_cut)
            and changed_at < pg_catalog.now() - keep
            and xid < pg_catalog.pg_snapshot_xmin(pg_catalog.pg_current_snapshot())
        order by xid
        limit most
    ), passed as materialized (
        -- with a limit, so that each row is one look into the index and no join
        select xid, id from old
        where (
            select true from windsock.assignment_history later
            where later.user_id = old.user_id
                and later.changed_at >= old.changed_at
                and later.changed_at
                    < pg_catalog.date_trunc('minute', old.changed_at) + '1 minute'::pg_catalog.interval
                and (later.changed_at, later.id) > (old.changed_at, old.id)
            limit 1
        )
    ), forgotten as (
        delete from windsock.assignment_history where (xid, id) in (select xid, id from passed)
    ), newest as (
        select xid from old order by xid desc limit 1
    )
    update windsock.change_log_cut set thinned = newest.xid from newest
$$;
revoke all on function windsock.cut_log(pg_catalog.interval, bigint) from public;
