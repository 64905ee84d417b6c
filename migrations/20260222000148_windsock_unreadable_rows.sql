-- The rows that `windsock_readable_rows` would refuse, from before it. A fault in the future counted again and again, such
-- a withdrawal could not be lifted, and pages, commands and analyses failed on the others. What has an impossible moment
-- goes; of a request or an event, so does only the number.
delete from windsock.faults
where not (reported_at between '1900-01-01 00:00+00' and pg_catalog.now() + interval '1 day');
delete from windsock.withdrawals
where not (
    withdrawn_at between '1900-01-01 00:00+00' and pg_catalog.now() + interval '1 day'
    and lifted_at between '1900-01-01 00:00+00' and pg_catalog.now() + interval '1 day'
    and expires_at >= '1900-01-01 00:00+00'
);
delete from windsock.exposures
where not (
    first_exposed_at between '1900-01-01 00:00+00' and '9000-01-01 00:00+00'
    and allocation > '-infinity' and allocation < 'infinity'
);
delete from windsock.experiment_assignments
where not (
    assigned_at between '1900-01-01 00:00+00' and '9000-01-01 00:00+00'
    and undone_at between '1900-01-01 00:00+00' and '9000-01-01 00:00+00'
);
delete from windsock.metric_events where not (occurred_at between '1900-01-01 00:00+00' and '9000-01-01 00:00+00');
update windsock.metric_events set value = null where not (value > '-infinity' and value < 'infinity');
delete from public.usage_logs where not (requested_at between '1900-01-01 00:00+00' and '9000-01-01 00:00+00');
update public.usage_logs
set latency_ms = case when latency_ms > '-infinity' and latency_ms < 'infinity' then latency_ms end,
    first_item_ms = case when first_item_ms > '-infinity' and first_item_ms < 'infinity' then first_item_ms end,
    cost = case when cost between -1e30 and 1e30 then cost end
where not (
    latency_ms > '-infinity' and latency_ms < 'infinity'
    and first_item_ms > '-infinity' and first_item_ms < 'infinity'
    and cost between -1e30 and 1e30
);
do $$
begin
    if exists ( -- a table from before may lack the column
        select from pg_catalog.pg_attribute
        where attrelid = 'public.usage_logs'::pg_catalog.regclass
            and attname = 'recorded_at' and atttypid = 'pg_catalog.timestamptz'::pg_catalog.regtype
    ) then
        update public.usage_logs set recorded_at = requested_at
        where not (recorded_at between '1900-01-01 00:00+00' and '9000-01-01 00:00+00');
    end if;
end
$$;
