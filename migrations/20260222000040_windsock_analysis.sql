-- What an experiment's analysis leaves behind, the sums that a decision was made from, and what its role may read.

create table if not exists windsock.analysis_snapshots (
    id bigint generated always as identity primary key,
    experiment text not null,
    version integer not null,
    environment text not null,
    taken_at timestamptz not null,
    decision text not null, -- collecting, invalid, harmful, win, no_effect, inconclusive
    declared jsonb not null, -- the experiment and its metrics as they were declared
    collected jsonb not null -- sums and counts: the decision can be computed again from these two
);

create index if not exists analysis_snapshots_experiment_idx
    on windsock.analysis_snapshots (experiment, version, environment, taken_at);

do $$
begin
    if exists (select from pg_catalog.pg_roles where rolname = 'windsock_analyst') then
        grant usage on schema public to windsock_analyst;
        grant select on public.usage_logs to windsock_analyst;
        if exists (
            select from pg_catalog.pg_class
            where oid = 'public.usage_logs'::pg_catalog.regclass and relrowsecurity
        ) then
            create policy windsock_analyst_reads on public.usage_logs
                for select to windsock_analyst using (true);
        end if;
    end if;
end
$$;
