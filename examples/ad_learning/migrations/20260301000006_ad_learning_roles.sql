-- A role for each part of the system, with the least that it needs. None can log in: give one a password with
--   alter role ad_learning_executor login password '...'
-- Rows of usage and of faults each part writes as windsock_writer. Celery has its queue in a schema of its own, and
-- sees no other table.

do $$
declare
    part text;
begin
    foreach part in array array['api', 'learner', 'indexer', 'executor', 'celery'] loop
        if not exists (select from pg_catalog.pg_roles where rolname = 'ad_learning_' || part) then
            execute format('create role %I nologin in role windsock_writer', 'ad_learning_' || part);
        end if;
    end loop;
    if not pg_has_role('ad_learning_api', 'windsock_api', 'member') then
        grant windsock_api to ad_learning_api;
    end if;
exception
    when insufficient_privilege or undefined_object then
        raise warning 'ad learning: its roles were not created: %', sqlerrm;
    when duplicate_object or unique_violation then
        null; -- another database of this server is being migrated at the same moment
end
$$;

create schema ad_learning_celery; -- named as the role is, so that its tables are made there

do $$
begin
    if not exists (select from pg_catalog.pg_roles where rolname = 'ad_learning_celery') then
        return;
    end if;
    grant usage on schema public
        to ad_learning_api, ad_learning_learner, ad_learning_indexer, ad_learning_executor;

    grant select on public.ads, public.winner_index to ad_learning_api;

    grant select on public.ads, public.pending_jobs, public.predictions, public.learning_config to ad_learning_learner;
    grant update (impressions, ctr, raw_data, updated_at) on public.ads to ad_learning_learner;
    grant insert (job_type, payload), update (status, error, attempts, finished_at)
        on public.pending_jobs to ad_learning_learner;
    grant select, insert, update
        on public.platform_reports, public.creative_dna, public.campaign_learning, public.model_accuracy,
        public.winner_index to ad_learning_learner;

    grant select on public.ads, public.pending_jobs to ad_learning_indexer;
    grant update (status, error, attempts, finished_at) on public.pending_jobs to ad_learning_indexer;
    grant select, insert, update on public.winner_index to ad_learning_indexer;

    grant select (ad_id, campaign_id) on public.ads to ad_learning_executor;
    grant select, update (status, error, attempts, finished_at, retry_at)
        on public.pending_jobs to ad_learning_executor;
    grant select, insert (job_id, campaign_id, budget_before, budget_after), update (status)
        on public.executor_actions to ad_learning_executor;
    grant select, insert, update on public.executor_pause to ad_learning_executor;

    grant usage, create on schema ad_learning_celery to ad_learning_celery;
end
$$;
