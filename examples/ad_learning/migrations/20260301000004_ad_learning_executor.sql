-- What the executor does to the budgets of campaigns, which the ad platform keeps. Limits are counted from here, over
-- all workers. Budgets are in the currency's smallest unit.

-- A job that met trouble waits until then.
alter table public.pending_jobs add column retry_at timestamptz;

-- An action is decided and written down before the platform is asked, and asked for again with the same amount while
-- it is `sending`. An `unsure` one was given up without an answer.
create table public.executor_actions (
    id bigint generated always as identity primary key,
    job_id bigint not null unique references public.pending_jobs,
    campaign_id text not null,
    budget_before bigint not null,
    budget_after bigint not null,
    status text not null default 'sending' check (status in ('sending', 'done', 'refused', 'unsure')),
    executed_at timestamptz not null default clock_timestamp()
);

create index executor_actions_time on public.executor_actions (executed_at);
create index executor_actions_campaign on public.executor_actions (campaign_id, executed_at);

-- One action at a time for a campaign.
create unique index executor_actions_sending on public.executor_actions (campaign_id) where status = 'sending';

-- Until when no worker acts, in one row: jitter after an action, or what the platform asked for.
create table public.executor_pause (
    only_row boolean primary key default true check (only_row),
    until timestamptz not null,
    reason text not null
);
