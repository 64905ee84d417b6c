-- Whom a policy lets write other users' rows could delete their own row and give their id to one that has a configuration.
drop trigger windsock_refused_update on public.profiles;
create trigger windsock_refused_update before update on public.profiles
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
