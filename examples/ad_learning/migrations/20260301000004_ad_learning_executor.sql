-- Budgets of campaigns, and what the executor did to them: its limits are counted from here, over all workers.

create table public.campaigns (
    campaign_id text primary key,
    budget numeric not null check (budget >= 0)
);

create table public.executor_actions (
    id bigint generated always as identity primary key,
    job_id bigint not null unique references public.pending_jobs,
    campaign_id text not null references public.campaigns,
    budget_before numeric not null,
    budget_after numeric not null,
    executed_at timestamptz not null default clock_timestamp()
);

create index executor_actions_time on public.executor_actions (executed_at);
create index executor_actions_campaign on public.executor_actions (campaign_id, executed_at);
