-- What a service can write and nobody can read: a moment before the year 1 or after 9999, which Python has no type for, or a
-- number without end. One such row broke `windsock usage` and pages of the console for everybody, and a fault or an end in
-- the future counted for ever. windsock writes none of them. NOT VALID: rows from before stay.
alter table public.usage_logs add constraint usage_logs_are_readable check (
    requested_at between '1900-01-01 00:00+00' and '9000-01-01 00:00+00'
    and latency_ms > '-infinity' and latency_ms < 'infinity'
    and first_item_ms > '-infinity' and first_item_ms < 'infinity'
    and cost between -1e30 and 1e30
) not valid;
do $$
begin
    if exists ( -- a table from before may lack the column
        select from pg_catalog.pg_attribute
        where attrelid = 'public.usage_logs'::pg_catalog.regclass
            and attname = 'recorded_at' and atttypid = 'pg_catalog.timestamptz'::pg_catalog.regtype
    ) then
        alter table public.usage_logs add constraint usage_logs_were_recorded check (
            recorded_at between '1900-01-01 00:00+00' and '9000-01-01 00:00+00'
        ) not valid;
    end if;
end
$$;
alter table windsock.exposures add constraint exposures_are_readable check (
    first_exposed_at between '1900-01-01 00:00+00' and '9000-01-01 00:00+00'
    and allocation > '-infinity' and allocation < 'infinity'
) not valid;
alter table windsock.metric_events add constraint metric_events_are_readable check (
    occurred_at between '1900-01-01 00:00+00' and '9000-01-01 00:00+00'
    and value > '-infinity' and value < 'infinity'
) not valid;
alter table windsock.experiment_assignments add constraint experiment_assignments_are_readable check (
    assigned_at between '1900-01-01 00:00+00' and '9000-01-01 00:00+00'
    and undone_at between '1900-01-01 00:00+00' and '9000-01-01 00:00+00'
) not valid;
alter table windsock.faults add constraint faults_are_readable check (
    reported_at between '1900-01-01 00:00+00' and pg_catalog.now() + interval '1 day'
) not valid;
alter table windsock.withdrawals add constraint withdrawals_are_readable check (
    withdrawn_at between '1900-01-01 00:00+00' and pg_catalog.now() + interval '1 day'
    and lifted_at between '1900-01-01 00:00+00' and pg_catalog.now() + interval '1 day'
    and expires_at >= '1900-01-01 00:00+00'
) not valid;

-- Under a publication of all tables, no row of a table can be deleted that has no key, so the log was never cut.
alter table windsock.change_log replica identity full;

-- As before; and a column `longest`, `most` or `total` of the application's is not taken for a variable.
create or replace function windsock.log_assignments() returns pg_catalog.trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp set jit = off set lock_timeout = '100ms'
as $$
#variable_conflict use_variable
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
