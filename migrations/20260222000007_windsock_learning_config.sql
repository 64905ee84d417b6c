-- Base values of a flag as rows, so that triggers and other SQL read what the services read. The mirror alone writes
-- the rows that carry a revision; rows without one are somebody else's and are left alone.

create table if not exists public.learning_config (
    key varchar(255) primary key,
    value jsonb not null,
    updated_at timestamp default now()
);

-- The content hash of the flag file that the value is from.
alter table public.learning_config add column if not exists revision text;

do $$
declare
    role_name text;
begin
    if exists (select from pg_catalog.pg_roles where rolname = 'anon') then
        alter table public.learning_config enable row level security;
        for role_name in select rolname from pg_catalog.pg_roles where rolname in ('anon', 'authenticated') loop
            execute format('revoke all on public.learning_config from %I', role_name);
        end loop;
    end if;
    if exists (select from pg_catalog.pg_roles where rolname = 'windsock_mirror') then
        grant select, insert, update, delete on public.learning_config to windsock_mirror;
    end if;
end
$$;
