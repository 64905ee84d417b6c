-- What an experiment is computed from: who was exposed to which arm and when, events that services report, and how each
-- request ended.

-- A unit that crosses over to another arm has two rows.
create table windsock.exposures (
    experiment text not null,
    version integer not null,
    environment text not null,
    unit text not null, -- the user, the request, or what the experiment is randomised by; hashed if user ids are
    arm text not null,
    first_exposed_at timestamptz not null,
    allocation real, -- the arm's share of the traffic at that time, 0 to 1
    flag text,
    revision text,
    reason text,
    key_fingerprint text, -- tells apart the keys that hashed the units; null: not hashed
    attributes jsonb not null default '{}', -- those that the experiment names for segments
    excluded text, -- why the unit doesn't count; null: it counts
    primary key (experiment, version, environment, unit, arm)
);

create table windsock.metric_events (
    id uuid primary key, -- made by the client, so that a batch can be sent twice without harm
    name text not null,
    unit text, -- what an experiment is randomised by, if that's neither the user nor the request
    user_id text,
    value double precision,
    occurred_at timestamptz not null,
    environment text not null,
    request_id text,
    attributes jsonb not null default '{}'
);
create index metric_events_name_idx on windsock.metric_events (name, environment, occurred_at);

alter table public.usage_logs
    add column if not exists status text, -- ok or error; null: not part of a request
    add column if not exists error_class text,
    add column if not exists answered_model text,
    add column if not exists first_item_ms double precision; -- of a stream

-- NOT VALID: a table of a hundred million rows isn't read while requests wait.
alter table public.usage_logs
    add constraint usage_logs_status_check check (status in ('ok', 'error')) not valid;

do $$
begin
    if not exists (select from pg_catalog.pg_roles where rolname = 'windsock_analyst') then
        create role windsock_analyst nologin;
    end if;
exception
    when insufficient_privilege then
        raise warning 'windsock: the role windsock_analyst was not created: %', sqlerrm;
    when duplicate_object or unique_violation then
        null; -- another database of this server is being migrated at the same moment
end
$$;

-- The writer moves a first exposure back when an earlier one arrives late, and changes nothing else.
do $$
begin
    if exists (select from pg_catalog.pg_roles where rolname = 'windsock_writer') then
        grant usage on schema windsock to windsock_writer;
        grant select, insert on windsock.exposures, windsock.metric_events to windsock_writer;
        grant update (first_exposed_at) on windsock.exposures to windsock_writer;
    end if;
    if exists (select from pg_catalog.pg_roles where rolname = 'windsock_analyst') then
        grant usage on schema windsock to windsock_analyst;
        grant select on windsock.exposures, windsock.metric_events to windsock_analyst;
    end if;
end
$$;
