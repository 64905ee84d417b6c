-- On Supabase every new table in public is granted to anon and authenticated. Neither the configurations nor the
-- log are theirs to read or to write, so both are closed: no grants, and row level security without a policy.

do $$
declare
    table_name text;
    role_name text;
begin
    if not exists (select from pg_catalog.pg_roles where rolname = 'anon') then
        return;
    end if;
    foreach table_name in array array['app_configurations', 'usage_logs'] loop
        execute format('alter table public.%I enable row level security', table_name);
        for role_name in
            select rolname from pg_catalog.pg_roles where rolname in ('anon', 'authenticated')
        loop
            execute format('revoke all on public.%I from %I', table_name, role_name);
        end loop;
    end loop;
end
$$;
