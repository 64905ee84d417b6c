-- Configuration profiles, and which user has which.

-- Supabase projects have public.profiles already. Elsewhere the smallest table that can carry an assignment is
-- made; where PostgREST would publish it (the role anon exists), it is closed by row level security.
do $$
begin
    if to_regclass('public.profiles') is null then
        create table public.profiles (id uuid primary key);
        if exists (select from pg_catalog.pg_roles where rolname = 'anon') then
            alter table public.profiles enable row level security;
        end if;
    end if;
end
$$;

-- A named, partial set of settings.
create table if not exists public.app_configurations (
    id uuid primary key default gen_random_uuid(),
    name text unique not null,
    description text,
    settings jsonb not null default '{}',
    is_active boolean default true,
    created_at timestamptz default now(),
    updated_at timestamptz default now()
);

-- The assignment: null means the defaults of the code.
alter table public.profiles
    add column if not exists config_id uuid references public.app_configurations (id);

-- A profile to try the system with. Applying the file again leaves a tuned row as it is.
insert into public.app_configurations (name, description, settings)
values ('experimental_v1', 'Initial tuning test', '{
    "retrieval_top_k": 25,
    "rerank_top_n": 5,
    "reasoning_model": "gpt-4o",
    "temperature": 0.2
}')
on conflict (name) do nothing;
