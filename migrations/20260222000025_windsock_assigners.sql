-- Who may assign a configuration. On Supabase a table in `public` is granted to anon and authenticated as a whole, and the
-- usual policy lets users write their own profile: config_id was theirs to choose. Revoking one column does nothing under
-- a grant of the whole table, so a trigger refuses, whatever the grants and the policies say. It runs as the role that
-- writes. PostgREST's request roles are these two; service_role, the owner and functions of theirs may go on.

create function windsock.refuse_assignment() returns pg_catalog.trigger
language plpgsql security invoker set search_path = pg_catalog, pg_temp
as $$
begin
    raise insufficient_privilege using
        message = pg_catalog.format('%s may not set config_id of profiles', current_user),
        hint = 'Assign configurations as service_role or windsock_assigner.';
end
$$;
revoke all on function windsock.refuse_assignment() from public;

create trigger windsock_refused_insert before insert on public.profiles
    for each row when (current_user in ('anon', 'authenticated') and new.config_id is not null)
    execute function windsock.refuse_assignment();
create trigger windsock_refused_update before update on public.profiles
    for each row
    when (current_user in ('anon', 'authenticated') and new.config_id is distinct from old.config_id)
    execute function windsock.refuse_assignment();

-- The role that assigns: it reads the configurations' names and sets config_id, and nothing else. It can't log in:
--   alter role windsock_assigner login password '...'
-- It sees past row level security as windsock_mirror does; where that can't be had, policies let it.
do $$
begin
    if not exists (select from pg_catalog.pg_roles where rolname = 'windsock_assigner') then
        begin
            create role windsock_assigner nologin bypassrls;
        exception when insufficient_privilege then
            create role windsock_assigner nologin;
        end;
    end if;
exception
    when insufficient_privilege then
        raise warning 'windsock: the role windsock_assigner was not created: %', sqlerrm;
    when duplicate_object or unique_violation then
        null; -- another database of this server is being migrated at the same moment
end
$$;

do $$
begin
    if exists (select from pg_catalog.pg_roles where rolname = 'windsock_assigner') then
        grant usage on schema public to windsock_assigner;
        grant select (id, config_id), update (config_id) on public.profiles to windsock_assigner;
        grant select (id, name, is_active) on public.app_configurations to windsock_assigner;
    end if;
    if exists (select from pg_catalog.pg_roles where rolname = 'windsock_assigner' and not rolbypassrls) then
        create policy windsock_assigner on public.profiles to windsock_assigner using (true) with check (true);
        create policy windsock_assigner on public.app_configurations
            for select to windsock_assigner using (true);
    end if;
end
$$;

do $$
begin
    if exists (select from pg_catalog.pg_roles where rolname = 'windsock_definer')
        and pg_catalog.pg_has_role('windsock_definer', 'usage') then
        grant create on schema windsock to windsock_definer; -- an owner needs it at this moment
        alter function windsock.refuse_assignment() owner to windsock_definer;
        revoke create on schema windsock from windsock_definer;
    end if;
end
$$;
