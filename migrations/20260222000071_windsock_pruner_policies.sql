-- BYPASSRLS is not inherited: a login in the role windsock_pruner saw no row where row level security is on, and prune and
-- forget deleted nothing without a word. Policies are inherited.

do $$
begin
    if exists (select from pg_catalog.pg_roles where rolname = 'windsock_pruner' and rolbypassrls) then
        create policy windsock_pruner on public.profiles to windsock_pruner using (true) with check (true);
        create policy windsock_pruner_reads on public.usage_logs for select to windsock_pruner using (true);
        create policy windsock_pruner_deletes on public.usage_logs for delete to windsock_pruner using (true);
    end if;
end
$$;
