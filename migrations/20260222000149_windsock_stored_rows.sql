-- Whom a policy lets write other users' rows could delete their own row and give their id to one that has a configuration.
-- And what is stored is judged now: an application's own BEFORE trigger whose name sorts behind ours could still change a row that
-- ours had let through. An upsert needs no exception any more, because the row that it proposes isn't stored.
create or replace function windsock.refuse_assignment() returns pg_catalog.trigger
language plpgsql security invoker set search_path = pg_catalog, pg_temp
as $$
begin
    raise insufficient_privilege using
        message = pg_catalog.format('%s may not set config_id of profiles', current_user),
        hint = 'Assign configurations as service_role or windsock_assigner.';
end
$$;
revoke all on function windsock.refuse_assignment() from public;

drop trigger windsock_refused_insert on public.profiles;
create trigger windsock_refused_insert after insert on public.profiles
    for each row when (current_user in ('anon', 'authenticated') and new.config_id is not null)
    execute function windsock.refuse_assignment();
drop trigger windsock_refused_update on public.profiles;
create trigger windsock_refused_update after update on public.profiles
    for each row
    when (
        current_user in ('anon', 'authenticated')
        and (
            new.config_id is distinct from old.config_id
            or new.config_id is not null
                and new.id::pg_catalog.text is distinct from old.id::pg_catalog.text
        )
    )
    execute function windsock.refuse_assignment();
