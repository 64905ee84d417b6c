-- A signed-in user who saves their whole profile, as supabase-js's upsert() does, assigns nothing: an INSERT with the
-- configuration that the row has already is let through to ON CONFLICT. The row is locked, so that nobody deletes it
-- meanwhile. Who may not lock it, or has no such row, is refused as before.
create or replace function windsock.refuse_assignment() returns pg_catalog.trigger
language plpgsql security invoker set search_path = pg_catalog, pg_temp
as $$
begin
    if tg_op = 'INSERT' then
        perform from public.profiles where id = new.id and config_id = new.config_id for key share;
        if found then
            return new;
        end if;
    end if;
    raise insufficient_privilege using
        message = pg_catalog.format('%s may not set config_id of profiles', current_user),
        hint = 'Assign configurations as service_role or windsock_assigner.';
end
$$;
revoke all on function windsock.refuse_assignment() from public;
