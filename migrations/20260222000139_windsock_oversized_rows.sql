-- Rows of a service's that the limits on size would refuse to `windsock_withdrawals_end` and `windsock_unreadable_rows`, which
-- change them, so that no later migration could be applied. windsock writes none of them. In a database that has those
-- migrations already, nothing is deleted.
delete from windsock.withdrawals
where expires_at > pg_catalog.now() + interval '1 day'
    and not (
        flag || variant || field || fingerprint !~ '[[:cntrl:]]'
        and pg_catalog.octet_length(flag) <= 500 and pg_catalog.octet_length(variant) <= 500
        and pg_catalog.octet_length(field) <= 500 and pg_catalog.octet_length(fingerprint) <= 200
        and pg_catalog.octet_length(value) <= 300000 and pg_catalog.octet_length(reason) <= 10000
    );
delete from windsock.metric_events
where not (value > '-infinity' and value < 'infinity')
    and not (
        pg_catalog.octet_length(pg_catalog.concat(name, unit, user_id, environment, request_id)) <= 50000
        and pg_catalog.pg_column_size(attributes #> '{}') <= 8000000
    );
delete from public.usage_logs
where not (
        latency_ms > '-infinity' and latency_ms < 'infinity'
        and first_item_ms > '-infinity' and first_item_ms < 'infinity'
        and cost between -1e30 and 1e30
    )
    and not (
        pg_catalog.octet_length(pg_catalog.concat(
            user_id, request_id, environment, flag, variant, revision, reason, trace_id, experiment, arm, error_class,
            answered_model
        )) <= 50000
        and pg_catalog.pg_column_size("values" #> '{}') <= 8000000
        and pg_catalog.pg_column_size(healed #> '{}') <= 8000000
    );
do $$
begin
    if exists ( -- a table from before may lack the column
        select from pg_catalog.pg_attribute
        where attrelid = 'public.usage_logs'::pg_catalog.regclass
            and attname = 'recorded_at' and atttypid = 'pg_catalog.timestamptz'::pg_catalog.regtype
    ) then
        delete from public.usage_logs
        where not (recorded_at between '1900-01-01 00:00+00' and '9000-01-01 00:00+00')
            and not (
                pg_catalog.octet_length(pg_catalog.concat(
                    user_id, request_id, environment, flag, variant, revision, reason, trace_id, experiment, arm,
                    error_class, answered_model
                )) <= 50000
                and pg_catalog.pg_column_size("values" #> '{}') <= 8000000
                and pg_catalog.pg_column_size(healed #> '{}') <= 8000000
            );
    end if;
end
$$;
