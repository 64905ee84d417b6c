-- What the learning loops read and write, beside ads and pending_jobs.

-- What an ad platform reported of an ad, in the order in which it came; applied to the ad once.
create table public.platform_reports (
    id bigint generated always as identity primary key,
    ad_id text not null references public.ads on delete cascade,
    impressions bigint not null check (impressions >= 0),
    clicks bigint not null check (clicks between 0 and impressions),
    spend numeric not null check (spend >= 0),
    revenue numeric not null check (revenue >= 0),
    reported_at timestamptz not null default now(),
    applied_at timestamptz
);

create index platform_reports_waiting on public.platform_reports (id) where applied_at is null;

-- How ads with an attribute of `raw_data.attributes` do.
create table public.creative_dna (
    attribute text primary key,
    ads bigint not null,
    ctr double precision not null
);

-- The return of each campaign, smoothed over cycles.
create table public.campaign_learning (
    campaign_id text primary key,
    roas double precision not null,
    cycles integer not null
);

-- What a model said of an ad, and what came of it.
create table public.predictions (
    id bigint generated always as identity primary key,
    model text not null,
    predicted boolean not null,
    actual boolean
);

create table public.model_accuracy (
    model text primary key,
    samples bigint not null,
    accuracy double precision not null
);

create index pending_jobs_promotions on public.pending_jobs ((payload ->> 'ad_id'), created_at)
    where job_type = 'budget_change';
