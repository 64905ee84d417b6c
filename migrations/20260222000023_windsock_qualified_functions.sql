-- Every function of ours once more, with names that no caller can redirect. Two things were wrong before:
--   search_path = '' still searches the caller's temporary schema first, for types and for relations. So `id::text` was
--   the caller's `pg_temp.text`, a domain whose check ran the caller's code as the function's owner. Now pg_temp is
--   named, as the last, and each name has its schema.
--   A transition table has no schema. A function that is attached to a table without one would read the caller's
--   temporary view `new_rows`. So each function refuses every table but its own, and only its owner may attach it.
-- What a function does is as it was, save that a withdrawal is logged without reading app_configurations: one fewer
-- right, and row level security can't hide the rows.

create or replace function windsock.log_configurations() returns pg_catalog.trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp set jit = off
as $$
begin
    if tg_relid <> 'public.app_configurations'::pg_catalog.regclass then
        raise exception 'log_configurations() belongs to public.app_configurations';
    end if;
    if tg_op = 'DELETE' then
        insert into windsock.change_log (changed_table, row_id)
        select 'app_configurations', id::pg_catalog.text from old_rows;
    else
        insert into windsock.change_log (changed_table, row_id)
        select 'app_configurations', id::pg_catalog.text from new_rows;
        if tg_op = 'UPDATE' then -- a row whose key was changed is gone under its old key
            insert into windsock.change_log (changed_table, row_id)
            select 'app_configurations', o.id::pg_catalog.text from old_rows o
            where not exists (select from new_rows n where n.id = o.id);
        end if;
    end if;
    perform pg_catalog.pg_notify('windsock', '');
    return null;
exception when others then
    raise warning 'windsock: a change of app_configurations was not logged: %', sqlerrm;
    return null;
end
$$;

create or replace function windsock.log_assignments() returns pg_catalog.trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp set jit = off
as $$
declare
    most constant bigint := 10000;
    logged bigint;
begin
    if tg_relid <> 'public.profiles'::pg_catalog.regclass then
        raise exception 'log_assignments() belongs to public.profiles';
    end if;
    if tg_op = 'INSERT' then
        insert into windsock.change_log (changed_table, row_id)
        select 'profiles', id::pg_catalog.text from new_rows where config_id is not null limit most + 1;
    elsif tg_op = 'DELETE' then
        insert into windsock.change_log (changed_table, row_id)
        select 'profiles', id::pg_catalog.text from old_rows where config_id is not null limit most + 1;
    else -- most updates of a profile are about something else and leave no row here
        insert into windsock.change_log (changed_table, row_id)
        select 'profiles', coalesce(n.id, o.id)::pg_catalog.text
        from new_rows n
        full join old_rows o on o.id = n.id
        where n.config_id is distinct from o.config_id
        limit most + 1;
    end if;
    get diagnostics logged = row_count;
    if logged > most then
        insert into windsock.change_log (changed_table, row_id) values ('profiles', null);
    end if;
    if logged > 0 then
        perform pg_catalog.pg_notify('windsock', '');
    end if;
    return null;
exception when others then
    raise warning 'windsock: a change of profiles was not logged: %', sqlerrm;
    return null;
end
$$;

create or replace function windsock.log_truncate() returns pg_catalog.trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp set jit = off
as $$
begin
    if tg_relid not in (
        'public.profiles'::pg_catalog.regclass, 'public.app_configurations'::pg_catalog.regclass
    ) then
        raise exception 'log_truncate() belongs to public.profiles and public.app_configurations';
    end if;
    insert into windsock.change_log (changed_table, row_id) values (tg_table_name, null);
    perform pg_catalog.pg_notify('windsock', '');
    return null;
exception when others then
    raise warning 'windsock: a truncate of % was not logged: %', tg_table_name, sqlerrm;
    return null;
end
$$;

create or replace function windsock.log_withdrawals() returns pg_catalog.trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp set jit = off
as $$
begin
    if tg_relid <> 'windsock.withdrawals'::pg_catalog.regclass then
        raise exception 'log_withdrawals() belongs to windsock.withdrawals';
    end if;
    insert into windsock.change_log (changed_table, row_id)
    select distinct 'app_configurations', variant
    from new_rows
    where flag like '%.profile' and variant ~ '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$';
    perform pg_catalog.pg_notify('windsock', '');
    return null;
exception when others then
    raise warning 'windsock: a withdrawal was not logged: %', sqlerrm;
    return null;
end
$$;

create or replace function windsock.keep_assignments() returns pg_catalog.trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp set jit = off
as $$
begin
    if tg_relid <> 'public.profiles'::pg_catalog.regclass then
        raise exception 'keep_assignments() belongs to public.profiles';
    end if;
    if tg_op = 'INSERT' then
        insert into windsock.assignment_history (user_id, config_id)
        select id::pg_catalog.text, config_id from new_rows where config_id is not null;
    elsif tg_op = 'DELETE' then
        insert into windsock.assignment_history (user_id, config_id)
        select id::pg_catalog.text, null from old_rows where config_id is not null;
    else
        insert into windsock.assignment_history (user_id, config_id)
        select coalesce(n.id, o.id)::pg_catalog.text, n.config_id
        from new_rows n
        full join old_rows o on o.id = n.id
        where n.config_id is distinct from o.config_id;
    end if;
    return null;
exception when others then
    raise warning 'windsock: the history of profiles was not kept: %', sqlerrm;
    return null;
end
$$;

create or replace function windsock.keep_configurations() returns pg_catalog.trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp set jit = off
as $$
begin
    if tg_relid <> 'public.app_configurations'::pg_catalog.regclass then
        raise exception 'keep_configurations() belongs to public.app_configurations';
    end if;
    if tg_op = 'DELETE' then
        insert into windsock.configuration_history (config_id, name)
        select id, name from old_rows;
    else
        insert into windsock.configuration_history (config_id, name, settings, is_active)
        select id, name, settings, coalesce(is_active, true) from new_rows;
    end if;
    return null;
exception when others then
    raise warning 'windsock: the history of app_configurations was not kept: %', sqlerrm;
    return null;
end
$$;

create or replace function windsock.lift_changed() returns pg_catalog.trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp set jit = off
as $$
begin
    if tg_relid <> 'public.app_configurations'::pg_catalog.regclass then
        raise exception 'lift_changed() belongs to public.app_configurations';
    end if;
    update windsock.withdrawals w
    set lifted_at = pg_catalog.now()
    from (
        select o.id::pg_catalog.text as variant, o.settings as before, n.settings as after
        from old_rows o
        left join new_rows n on n.id = o.id
        where o.settings is distinct from n.settings
    ) changed
    where w.variant = changed.variant
        and w.lifted_at is null
        and w.flag like '%.profile'
        -- settings nest by flag where several classes are mirrored
        and coalesce(before -> pg_catalog."left"(w.flag, -pg_catalog.length('.profile')) -> w.field, before -> w.field)
            is distinct from
            coalesce(after -> pg_catalog."left"(w.flag, -pg_catalog.length('.profile')) -> w.field, after -> w.field);
    return null;
exception when others then
    raise warning 'windsock: withdrawals of changed values were not lifted: %', sqlerrm;
    return null;
end
$$;

create or replace function windsock.lift_deleted() returns pg_catalog.trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp set jit = off
as $$
begin
    if tg_relid <> 'public.app_configurations'::pg_catalog.regclass then
        raise exception 'lift_deleted() belongs to public.app_configurations';
    end if;
    update windsock.withdrawals w
    set lifted_at = pg_catalog.now()
    from old_rows o
    where w.variant = o.id::pg_catalog.text and w.lifted_at is null;
    return null;
exception when others then
    raise warning 'windsock: withdrawals of deleted configurations were not lifted: %', sqlerrm;
    return null;
end
$$;

create or replace function windsock.api_token(digest pg_catalog.bytea)
returns table (name pg_catalog.text, role pg_catalog.text)
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    nonce pg_catalog.bytea := pg_catalog.uuid_send(pg_catalog.gen_random_uuid());
begin
    return query
    select token.name, token.role
    from windsock.api_tokens as token
    where token.revoked_at is null
        and pg_catalog.sha256(token.token_sha256 || nonce) = pg_catalog.sha256(digest || nonce);
end
$$;

create or replace function windsock.end_configuration_write(write_id bigint) returns pg_catalog.void
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
begin
    update windsock.configuration_audit set written_at = pg_catalog.now()
    where id = write_id and written_at is null;
    if found then
        perform pg_catalog.pg_notify('windsock', '');
    end if;
end
$$;

-- PUBLIC may execute a new function, and who may execute a trigger function may attach it to a table of their own. Here
-- that right ends; triggers fire without it. Default privileges can't do this for one schema, only for everything that
-- the migrating role makes, the application's functions too; so each migration that makes a function revokes it.
revoke all on all functions in schema windsock from public;
