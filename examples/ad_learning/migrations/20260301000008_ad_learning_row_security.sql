-- Everything in `public` is open to anon and authenticated on Supabase, unless row level security closes it: with the
-- publishable key alone anybody could queue a change of a budget. Each part sees all rows of its tables, and what it may
-- do with them its grants say.

alter table public.ads enable row level security;
alter table public.pending_jobs enable row level security;
alter table public.platform_reports enable row level security;
alter table public.creative_dna enable row level security;
alter table public.campaign_learning enable row level security;
alter table public.predictions enable row level security;
alter table public.model_accuracy enable row level security;
alter table public.executor_actions enable row level security;
alter table public.executor_pause enable row level security;
alter table public.winner_index enable row level security;

do $$
declare
    table_name pg_catalog.text;
    role_name pg_catalog.text;
    parts pg_catalog.text;
begin
    foreach table_name in array array[
        'ads', 'pending_jobs', 'platform_reports', 'creative_dna', 'campaign_learning', 'predictions',
        'model_accuracy', 'executor_actions', 'executor_pause', 'winner_index'
    ] loop
        for role_name in
            select rolname from pg_catalog.pg_roles where rolname in ('anon', 'authenticated')
        loop
            execute pg_catalog.format('revoke all on public.%I from %I', table_name, role_name);
        end loop;
        select pg_catalog.string_agg(pg_catalog.quote_ident(rolname), ', ') into parts
        from pg_catalog.pg_roles
        where rolname in ('ad_learning_api', 'ad_learning_learner', 'ad_learning_indexer', 'ad_learning_executor')
            and pg_catalog.has_any_column_privilege(
                rolname, pg_catalog.format('public.%I', table_name), 'select, insert, update'
            );
        if parts is not null then
            execute pg_catalog.format(
                'create policy ad_learning_parts on public.%I to %s using (true) with check (true)', table_name, parts
            );
        end if;
    end loop;
    -- windsock closes this table on Supabase, and the learner's trigger reads it.
    if exists (select from pg_catalog.pg_roles where rolname = 'ad_learning_learner') then
        create policy ad_learning_learner_reads on public.learning_config
            for select to ad_learning_learner using (true);
    end if;
end
$$;
