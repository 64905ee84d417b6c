-- Who deletes: `windsock prune` and `windsock forget`, and nobody else. And indexes for what the commands ask.

create index if not exists usage_logs_healed_idx on public.usage_logs (requested_at) where healed <> '[]';
create index if not exists exposures_unit_idx on windsock.exposures (unit);
create index if not exists metric_events_user_idx on windsock.metric_events (user_id) where user_id is not null;
create index if not exists metric_events_unit_idx on windsock.metric_events (unit) where unit is not null;
create index if not exists metric_events_occurred_idx on windsock.metric_events (occurred_at);

-- It can't log in:  alter role windsock_pruner login password '...'
-- It sees past row level security; where that can't be had, policies let it.
do $$
begin
    if not exists (select from pg_catalog.pg_roles where rolname = 'windsock_pruner') then
        begin
            create role windsock_pruner nologin bypassrls;
        exception when insufficient_privilege then
            create role windsock_pruner nologin;
        end;
    end if;
exception
    when insufficient_privilege then
        raise warning 'windsock: the role windsock_pruner was not created: %', sqlerrm;
    when duplicate_object or unique_violation then
        null; -- another database of this server is being migrated at the same moment
end
$$;

do $$
begin
    if not exists (select from pg_catalog.pg_roles where rolname = 'windsock_pruner') then
        return;
    end if;
    grant usage on schema public, windsock to windsock_pruner;
    grant select (id, config_id), update (config_id) on public.profiles to windsock_pruner;
    grant select (id, requested_at, user_id, request_id), delete on public.usage_logs to windsock_pruner;
    grant select (id, occurred_at, user_id, unit), delete on windsock.metric_events to windsock_pruner;
    grant select (experiment, version, environment, unit, arm, first_exposed_at), delete on windsock.exposures to windsock_pruner;
    grant select (experiment, version, unit, profile_id, assigned_at, undone_at), delete
        on windsock.experiment_assignments to windsock_pruner;
    grant select (id, user_id, changed_at), delete on windsock.assignment_history to windsock_pruner;
    grant select (id, config_id, changed_at), delete on windsock.configuration_history to windsock_pruner;
    grant select (id, changed_at, before, after), update (before, after), delete
        on windsock.profile_changes to windsock_pruner;
    grant select (id, requested_at), delete on windsock.configuration_audit to windsock_pruner;
    grant select (id, request_id, reported_at), delete on windsock.faults to windsock_pruner;
    grant select (flag, variant, field, fingerprint, expires_at), delete on windsock.withdrawals to windsock_pruner;
    grant execute on function windsock.cut_log(pg_catalog.interval, bigint) to windsock_pruner;
    if exists (select from pg_catalog.pg_roles where rolname = 'windsock_pruner' and not rolbypassrls) then
        create policy windsock_pruner on public.profiles to windsock_pruner using (true) with check (true);
        create policy windsock_pruner_reads on public.usage_logs for select to windsock_pruner using (true);
        create policy windsock_pruner_deletes on public.usage_logs for delete to windsock_pruner using (true);
    end if;
end
$$;
