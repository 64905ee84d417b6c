-- Rights that a role of ours had and doesn't need, and an end to what each may put into a column.

-- A service adds rows and reads none of them: it needs the columns by which a row that is there already is found, and of
-- assignments everything but whose they are, since a unit may be hashed so that services can't tell.
do $$
begin
    if exists (select from pg_catalog.pg_roles where rolname = 'windsock_writer') then
        revoke select on public.usage_logs, windsock.exposures, windsock.metric_events, windsock.experiment_assignments
            from windsock_writer;
        grant select (id) on public.usage_logs to windsock_writer;
        grant select (id) on windsock.metric_events to windsock_writer;
        grant select (experiment, version, environment, unit, arm, first_exposed_at)
            on windsock.exposures to windsock_writer;
        grant select (experiment, version, unit, arm, flag, fields, allocation, key_fingerprint, config_id, assigned_at,
            undone_at) on windsock.experiment_assignments to windsock_writer;
        revoke update on windsock.withdrawals from windsock_writer;
        grant update (reason, withdrawn_at, expires_at, lifted_at) on windsock.withdrawals to windsock_writer;
    end if;
    -- Functions cut the log since 20260222000026 and 20260222000027, and the mirror reads it through windsock.changes. One
    -- of an older version, which reads the table, finds that it may not, and reads everything at each poll.
    if exists (select from pg_catalog.pg_roles where rolname = 'windsock_mirror') then
        revoke select, delete on windsock.change_log from windsock_mirror;
        revoke update on windsock.change_log_cut from windsock_mirror;
    end if;
    if exists (select from pg_catalog.pg_roles where rolname = 'windsock_api') then
        revoke select (id) on windsock.configuration_audit from windsock_api;
    end if;
end
$$;

-- Far above what windsock writes. NOT VALID: rows from before stay, and no table is read while requests wait. `#> '{}'` is
-- the whole document, as it is before it is compressed.
alter table public.usage_logs add constraint usage_logs_are_bounded check (
    pg_catalog.octet_length(pg_catalog.concat(
        user_id, request_id, environment, flag, variant, revision, reason, trace_id, experiment, arm, error_class,
        answered_model
    )) <= 50000
    and pg_catalog.pg_column_size("values" #> '{}') <= 8000000
    and pg_catalog.pg_column_size(healed #> '{}') <= 8000000
) not valid;
alter table windsock.exposures add constraint exposures_are_bounded check (
    pg_catalog.octet_length(pg_catalog.concat(
        experiment, environment, unit, arm, flag, revision, reason, key_fingerprint, excluded
    )) <= 50000
    and pg_catalog.pg_column_size(attributes #> '{}') <= 8000000
) not valid;
alter table windsock.metric_events add constraint metric_events_are_bounded check (
    pg_catalog.octet_length(pg_catalog.concat(name, unit, user_id, environment, request_id)) <= 50000
    and pg_catalog.pg_column_size(attributes #> '{}') <= 8000000
) not valid;
alter table windsock.change_log add constraint change_log_is_bounded check (
    pg_catalog.octet_length(pg_catalog.concat(changed_table, row_id)) <= 50000
) not valid;
alter table windsock.mirrors add constraint mirrors_are_bounded check (
    pg_catalog.octet_length(pg_catalog.concat(group_name, folder, trouble)) <= 50000
) not valid;
alter table windsock.experiment_assignments add constraint experiment_assignments_are_bounded check (
    pg_catalog.octet_length(pg_catalog.concat(experiment, unit, arm, flag, key_fingerprint)) <= 50000
    and pg_catalog.octet_length(fields::pg_catalog.text) <= 1000000
) not valid;
alter table windsock.profile_changes add constraint profile_changes_are_bounded check (
    pg_catalog.octet_length(pg_catalog.concat(actor, profile)) <= 50000
    and pg_catalog.pg_column_size(before #> '{}') <= 8000000
    and pg_catalog.pg_column_size(after #> '{}') <= 8000000
) not valid;
alter table windsock.analysis_snapshots add constraint analysis_snapshots_are_bounded check (
    pg_catalog.octet_length(pg_catalog.concat(experiment, environment, decision)) <= 50000
    and pg_catalog.pg_column_size(declared #> '{}') <= 8000000
    and pg_catalog.pg_column_size(collected #> '{}') <= 8000000
) not valid;
alter table windsock.console_sessions add constraint console_sessions_are_bounded check (
    pg_catalog.octet_length(form_key) <= 1000
    and pg_catalog.octet_length(previous_sha256) <= 32
    and pg_catalog.octet_length(token_sha256) <= 32
    and pg_catalog.octet_length(flags::pg_catalog.text) <= 1000000
) not valid;
-- Of these two only the mirror's rows: a row without a revision is an application's, and so may be the first table.
alter table if exists public.learning_config_units add constraint learning_config_units_are_bounded check (
    revision is null
    or pg_catalog.octet_length(revision) <= 1000 and pg_catalog.pg_column_size(value #> '{}') <= 8000000
) not valid;
do $$
begin
    if exists (
        select from pg_catalog.pg_attribute
        where attrelid = pg_catalog.to_regclass('public.learning_config')
            and attname = 'value' and atttypid = 'pg_catalog.jsonb'::pg_catalog.regtype
    ) then
        alter table public.learning_config add constraint learning_config_is_bounded check (
            revision is null
            or pg_catalog.octet_length(revision) <= 1000 and pg_catalog.pg_column_size(value #> '{}') <= 8000000
        ) not valid;
    end if;
end
$$;
