-- The functions go to the role that was made for them. A migrating role that isn't a superuser must be a member of it to
-- do this, and stays one: it owns the tables, so it can do more already.
do $$
declare
    function pg_catalog.regprocedure;
begin
    if not exists (select from pg_catalog.pg_roles where rolname = 'windsock_definer') then
        return;
    end if;
    if not pg_catalog.pg_has_role('windsock_definer', 'usage') then
        execute pg_catalog.format('grant windsock_definer to %I', current_user);
    end if;
    grant create on schema windsock to windsock_definer; -- an owner needs it at this moment
    for function in
        select oid from pg_catalog.pg_proc where pronamespace = 'windsock'::pg_catalog.regnamespace
    loop
        execute pg_catalog.format('alter function %s owner to windsock_definer', function);
    end loop;
    revoke create on schema windsock from windsock_definer;
exception when insufficient_privilege then
    raise warning 'windsock: the functions still belong to %: %', current_user, sqlerrm;
end
$$;
