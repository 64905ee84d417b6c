-- What units, such as campaigns, have instead of the base values in learning_config: a row for each field in which a unit
-- differs, by the rules of the flag. The mirror alone evaluates them (`--units`), so SQL looks up and never hashes; it
-- writes the rows that carry a revision and removes those of units that are gone.

create table public.learning_config_units (
    unit text not null,
    key varchar(255) not null,
    value jsonb not null,
    revision text,
    updated_at timestamptz not null default now(),
    primary key (unit, key)
);

do $$
declare
    role_name pg_catalog.text;
begin
    if exists (select from pg_catalog.pg_roles where rolname = 'anon') then
        alter table public.learning_config_units enable row level security;
        for role_name in select rolname from pg_catalog.pg_roles where rolname in ('anon', 'authenticated') loop
            execute pg_catalog.format('revoke all on public.learning_config_units from %I', role_name);
        end loop;
    end if;
    if exists (select from pg_catalog.pg_roles where rolname = 'windsock_mirror') then
        grant select, insert, update, delete on public.learning_config_units to windsock_mirror;
    end if;
    -- It sees past row level security where it could be created so; elsewhere a policy lets it.
    if exists (select from pg_catalog.pg_roles where rolname = 'windsock_mirror' and not rolbypassrls) then
        create policy windsock_mirror on public.learning_config_units
            to windsock_mirror using (true) with check (true);
    end if;
end
$$;
