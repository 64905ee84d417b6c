-- Two roles with the least that they need. Neither can log in: give one a password with
--   alter role windsock_mirror login password '...'
-- Roles belong to the whole server, so they may exist already; where the migration may not create them (or not
-- with BYPASSRLS), it says so and goes on: the mirror then needs another role that can read past row level security.

do $$
begin
    if not exists (select from pg_catalog.pg_roles where rolname = 'windsock_mirror') then
        create role windsock_mirror nologin bypassrls;
    end if;
    if not exists (select from pg_catalog.pg_roles where rolname = 'windsock_writer') then
        create role windsock_writer nologin;
    end if;
exception
    when insufficient_privilege then
        raise warning 'windsock: the roles windsock_mirror and windsock_writer were not created: %', sqlerrm;
    when duplicate_object or unique_violation then
        null; -- another database of this server is being migrated at the same moment
end
$$;

do $$
begin
    if exists (select from pg_catalog.pg_roles where rolname = 'windsock_mirror') then
        grant usage on schema public, windsock to windsock_mirror;
        grant select on public.app_configurations to windsock_mirror;
        grant select (id, config_id) on public.profiles to windsock_mirror;
        grant select, delete on windsock.change_log to windsock_mirror;
        grant select, update on windsock.change_log_cut to windsock_mirror;
    end if;
    if exists (select from pg_catalog.pg_roles where rolname = 'windsock_writer') then
        grant usage on schema public to windsock_writer;
        grant select, insert on public.usage_logs to windsock_writer;
        if exists (
            select from pg_catalog.pg_class
            where oid = 'public.usage_logs'::regclass and relrowsecurity
        ) then
            create policy windsock_writer_all on public.usage_logs
                for all to windsock_writer using (true) with check (true);
        end if;
    end if;
end
$$;
