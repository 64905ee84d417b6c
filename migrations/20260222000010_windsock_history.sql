-- Who had which configuration when, and what was in it: what `windsock explain --at` rebuilds the past from. It begins
-- when this migration is applied. Times are those of the change; a reader has it when the mirror has published it.

create table windsock.assignment_history (
    id bigint generated always as identity primary key,
    user_id text not null,
    config_id uuid, -- null: unassigned
    changed_at timestamptz not null default clock_timestamp()
);
create index assignment_history_user_idx on windsock.assignment_history (user_id, changed_at);

create table windsock.configuration_history (
    id bigint generated always as identity primary key,
    config_id uuid not null,
    name text,
    settings jsonb, -- null: deleted
    is_active boolean,
    changed_at timestamptz not null default clock_timestamp()
);
create index configuration_history_config_idx on windsock.configuration_history (config_id, changed_at);

insert into windsock.assignment_history (user_id, config_id)
select id::text, config_id from public.profiles where config_id is not null;
insert into windsock.configuration_history (config_id, name, settings, is_active)
select id, name, settings, coalesce(is_active, true) from public.app_configurations;

-- As in the change log: statement-level, as their owner, and a failure is a warning that never blocks a sign-up.

create function windsock.keep_assignments() returns trigger
language plpgsql security definer set search_path = '' set jit = off
as $$
begin
    if tg_op = 'INSERT' then
        insert into windsock.assignment_history (user_id, config_id)
        select id::text, config_id from new_rows where config_id is not null;
    elsif tg_op = 'DELETE' then
        insert into windsock.assignment_history (user_id, config_id)
        select id::text, null from old_rows where config_id is not null;
    else
        insert into windsock.assignment_history (user_id, config_id)
        select coalesce(n.id, o.id)::text, n.config_id
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

create function windsock.keep_configurations() returns trigger
language plpgsql security definer set search_path = '' set jit = off
as $$
begin
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

create trigger windsock_history_inserted after insert on public.profiles
    referencing new table as new_rows for each statement execute function windsock.keep_assignments();
create trigger windsock_history_updated after update on public.profiles
    referencing old table as old_rows new table as new_rows for each statement
    execute function windsock.keep_assignments();
create trigger windsock_history_deleted after delete on public.profiles
    referencing old table as old_rows for each statement execute function windsock.keep_assignments();
create trigger windsock_history_inserted after insert on public.app_configurations
    referencing new table as new_rows for each statement execute function windsock.keep_configurations();
create trigger windsock_history_updated after update on public.app_configurations
    referencing old table as old_rows new table as new_rows for each statement
    execute function windsock.keep_configurations();
create trigger windsock_history_deleted after delete on public.app_configurations
    referencing old table as old_rows for each statement execute function windsock.keep_configurations();
