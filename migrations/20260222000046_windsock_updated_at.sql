-- app_configurations.updated_at moves with each change, whoever makes it.

create function windsock.touch_configuration() returns pg_catalog.trigger
language plpgsql security invoker set search_path = pg_catalog, pg_temp
as $$
begin
    new.updated_at := pg_catalog.now();
    return new;
exception when others then -- a table from before, say, without the column: an application's write must not fail
    return new;
end
$$;
revoke all on function windsock.touch_configuration() from public;

create trigger windsock_touched before update on public.app_configurations
    for each row when (new.* is distinct from old.*)
    execute function windsock.touch_configuration();

do $$
begin
    if exists (select from pg_catalog.pg_roles where rolname = 'windsock_definer')
        and pg_catalog.pg_has_role('windsock_definer', 'usage') then
        grant create on schema windsock to windsock_definer; -- an owner needs it at this moment
        alter function windsock.touch_configuration() owner to windsock_definer;
        revoke create on schema windsock from windsock_definer;
    end if;
end
$$;
