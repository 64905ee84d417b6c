-- BYPASSRLS is not inherited: a login in the role windsock_assigner or windsock_console saw no row where row level security
-- is on, and assigned nobody without a word. Policies are inherited.

do $$
declare
    name constant pg_catalog.text := 'windsock_assigner';
begin
    if exists (select from pg_catalog.pg_roles where rolname = name)
        and not exists (select from pg_catalog.pg_policies where policyname = name) then
        create policy windsock_assigner on public.profiles to windsock_assigner using (true) with check (true);
        create policy windsock_assigner on public.app_configurations
            for select to windsock_assigner using (true);
    end if;
end
$$;

do $$
declare
    name constant pg_catalog.text := 'windsock_console';
begin
    if exists (select from pg_catalog.pg_roles where rolname = name)
        and not exists (select from pg_catalog.pg_policies where policyname = name) then
        create policy windsock_console on public.profiles to windsock_console using (true) with check (true);
        create policy windsock_console on public.app_configurations to windsock_console
            using (true) with check (true);
        create policy windsock_console on public.usage_logs for select to windsock_console using (true);
    end if;
end
$$;
