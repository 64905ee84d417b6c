-- The history of changes stays readable. One row of `windsock_assigner` or `windsock_api` that Python can't read, or that has
-- another shape than those of windsock, broke a page and commands for everybody: an end of time, JSON of thousands of levels,
-- a number of thousands of digits, a list for an object. NOT VALID: no table is read while requests wait.
alter table windsock.profile_changes add constraint profile_changes_are_readable check (
    changed_at between '1900-01-01 00:00+00' and '9000-01-01 00:00+00'
    and pg_catalog.jsonb_typeof(before) = 'object'
    and coalesce(pg_catalog.jsonb_typeof(before -> 'settings'), 'null') in ('object', 'null')
    and pg_catalog.jsonb_typeof(after) = 'object'
    and coalesce(pg_catalog.jsonb_typeof(after -> 'settings'), 'null') in ('object', 'null')
    and not pg_catalog.jsonb_path_exists(before, 'strict $.**{301}')
    and not pg_catalog.jsonb_path_exists(
        before, 'strict $.**{0 to 301} ? (@.type() == "number" && (@ > 1e4000 || @ < -1e4000))'
    )
    and not pg_catalog.jsonb_path_exists(after, 'strict $.**{301}')
    and not pg_catalog.jsonb_path_exists(
        after, 'strict $.**{0 to 301} ? (@.type() == "number" && (@ > 1e4000 || @ < -1e4000))'
    )
) not valid;
alter table windsock.configuration_audit add constraint configuration_audit_is_readable check (
    requested_at between '1900-01-01 00:00+00' and '9000-01-01 00:00+00'
    and coalesce(written_at between '1900-01-01 00:00+00' and '9000-01-01 00:00+00', true)
    and pg_catalog.jsonb_typeof(changed) = 'object'
    and not coalesce(pg_catalog.jsonb_path_exists(
        changed,
        'strict $.keyvalue() ? (@.value.type() != "array" || @.value.size() != 2 || @.key != "" && !(@.key starts with "/"))',
        '{}', true
    ), false)
    and not pg_catalog.jsonb_path_exists(changed, 'strict $.**{301}')
    and not pg_catalog.jsonb_path_exists(
        changed, 'strict $.**{0 to 301} ? (@.type() == "number" && (@ > 1e4000 || @ < -1e4000))'
    )
) not valid;
-- An exposure takes its assignment's share, and its own constraint then refused it.
alter table windsock.experiment_assignments add constraint experiment_assignments_have_a_share check (
    allocation > '-infinity' and allocation < 'infinity'
) not valid;

-- On Supabase `anon` and `authenticated` may truncate a new table of `public`, and no policy applies to that.
create trigger windsock_refused_truncate before truncate on public.profiles
    for each statement when (current_user in ('anon', 'authenticated'))
    execute function windsock.refuse_assignment();

-- As before, but no row stays for good because a transaction that began before it ended after it: thinning went past
-- everything with a lower transaction id, also what was too recent to be thinned yet.
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
    with next as materialized (
        select xid, id, user_id, changed_at from windsock.assignment_history
        where xid > (select thinned from windsock.change_log_cut)
            and xid < pg_catalog.pg_snapshot_xmin(pg_catalog.pg_current_snapshot())
        order by xid
        limit most
    ), recent as ( -- one of a clock that was ahead is not waited for
        select xid from next
        where changed_at between pg_catalog.now() - keep and pg_catalog.clock_timestamp()
        order by xid limit 1
    ), old as materialized (
        select xid, id, user_id, changed_at from next
        where not exists (select from recent where recent.xid <= next.xid)
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
