-- The tables of experiments as migrations make them, for a database that has been migrated as far as usage_logs.

create table if not exists windsock.exposures (
    experiment text not null,
    version integer not null,
    environment text not null,
    unit text not null,
    arm text not null,
    first_exposed_at timestamptz not null,
    allocation real,
    flag text,
    revision text,
    reason text,
    key_fingerprint text,
    attributes jsonb not null default '{}',
    excluded text,
    primary key (experiment, version, environment, unit, arm)
);

create table if not exists windsock.metric_events (
    id uuid primary key,
    name text not null,
    unit text,
    user_id text,
    value double precision,
    occurred_at timestamptz not null,
    environment text not null,
    request_id text,
    attributes jsonb not null default '{}'
);

alter table public.usage_logs
    add column if not exists status text,
    add column if not exists error_class text,
    add column if not exists answered_model text,
    add column if not exists first_item_ms real;
