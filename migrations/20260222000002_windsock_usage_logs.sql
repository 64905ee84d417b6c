-- One row for each settings class that a request used: which values it had, and where they came from.

create table if not exists public.usage_logs (
    id uuid primary key, -- made by the client, so that a batch can be sent twice without harm
    requested_at timestamptz not null,
    user_id text, -- text, because a targeting key need not be a UUID
    request_id text,
    environment text not null,
    flag text not null,
    variant text,
    config_id uuid, -- no foreign key: a log outlives the configuration that it names
    revision text,
    reason text,
    "values" jsonb not null default '{}',
    healed jsonb not null default '[]',
    latency_ms double precision,
    input_tokens bigint,
    output_tokens bigint,
    cost numeric,
    trace_id text,
    recorded_at timestamptz not null default now()
);

create index if not exists usage_logs_requested_at_idx on public.usage_logs (requested_at);
create index if not exists usage_logs_user_id_idx on public.usage_logs (user_id, requested_at);
create index if not exists usage_logs_config_id_idx
    on public.usage_logs (config_id, requested_at)
    where config_id is not null;
