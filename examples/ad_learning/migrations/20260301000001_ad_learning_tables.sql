-- The tables of the ad learning system.

create table public.ads (
    ad_id text primary key,
    campaign_id text not null,
    video_id text,
    impressions bigint not null default 0 check (impressions >= 0),
    ctr double precision,
    raw_data jsonb not null default '{}',  -- what the ad platform said; `roas` is read from here
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now()
);

create table public.pending_jobs (
    id bigint generated always as identity primary key,
    job_type text not null,
    payload jsonb not null,
    status text not null default 'pending' check (status in ('pending', 'done', 'failed')),
    attempts integer not null default 0,
    error text,
    created_at timestamptz not null default now(),
    finished_at timestamptz
);

-- A winner is indexed once, however often its numbers are updated.
create unique index pending_jobs_one_index_per_ad on public.pending_jobs ((payload ->> 'ad_id'))
    where job_type = 'rag_index_winner';

create index pending_jobs_waiting on public.pending_jobs (job_type, id) where status = 'pending';
