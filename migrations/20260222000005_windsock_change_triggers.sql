-- Statement-level triggers: one insert and one empty NOTIFY for a statement, however many rows it touches. They run
-- as their owner with an empty search path, and a failure is a warning: they must never block a sign-up. A change
-- that could not be logged is found by the mirror's next full reading.
-- jit = off: compiling the cached plan cost 72 ms for a single row.
-- A statement that reassigns more than ten thousand users is logged as "any row": the mirror reads everything then
-- anyway, and writing each key would make the statement twice as slow.

create function windsock.log_configurations() returns trigger
language plpgsql security definer set search_path = '' set jit = off
as $$
begin
    if tg_op = 'DELETE' then
        insert into windsock.change_log (changed_table, row_id)
        select 'app_configurations', id::text from old_rows;
    else
        insert into windsock.change_log (changed_table, row_id)
        select 'app_configurations', id::text from new_rows;
        if tg_op = 'UPDATE' then -- a row whose key was changed is gone under its old key
            insert into windsock.change_log (changed_table, row_id)
            select 'app_configurations', o.id::text from old_rows o
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

create function windsock.log_assignments() returns trigger
language plpgsql security definer set search_path = '' set jit = off
as $$
declare
    most constant bigint := 10000;
    logged bigint;
begin
    if tg_op = 'INSERT' then
        insert into windsock.change_log (changed_table, row_id)
        select 'profiles', id::text from new_rows where config_id is not null limit most + 1;
    elsif tg_op = 'DELETE' then
        insert into windsock.change_log (changed_table, row_id)
        select 'profiles', id::text from old_rows where config_id is not null limit most + 1;
    else -- most updates of a profile are about something else and leave no row here
        insert into windsock.change_log (changed_table, row_id)
        select 'profiles', coalesce(n.id, o.id)::text
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

create function windsock.log_truncate() returns trigger
language plpgsql security definer set search_path = '' set jit = off
as $$
begin
    insert into windsock.change_log (changed_table, row_id) values (tg_table_name, null);
    perform pg_catalog.pg_notify('windsock', '');
    return null;
exception when others then
    raise warning 'windsock: a truncate of % was not logged: %', tg_table_name, sqlerrm;
    return null;
end
$$;

create trigger windsock_inserted after insert on public.app_configurations
    referencing new table as new_rows for each statement execute function windsock.log_configurations();
create trigger windsock_updated after update on public.app_configurations
    referencing old table as old_rows new table as new_rows for each statement
    execute function windsock.log_configurations();
create trigger windsock_deleted after delete on public.app_configurations
    referencing old table as old_rows for each statement execute function windsock.log_configurations();
create trigger windsock_truncated after truncate on public.app_configurations
    for each statement execute function windsock.log_truncate();

create trigger windsock_inserted after insert on public.profiles
    referencing new table as new_rows for each statement execute function windsock.log_assignments();
create trigger windsock_updated after update on public.profiles
    referencing old table as old_rows new table as new_rows for each statement
    execute function windsock.log_assignments();
create trigger windsock_deleted after delete on public.profiles
    referencing old table as old_rows for each statement execute function windsock.log_assignments();
create trigger windsock_truncated after truncate on public.profiles
    for each statement execute function windsock.log_truncate();
