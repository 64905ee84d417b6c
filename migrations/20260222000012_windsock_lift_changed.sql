-- A withdrawal is of a value: when the configuration says something else, or is deleted, there is nothing to withdraw.

create function windsock.lift_changed() returns trigger
language plpgsql security definer set search_path = '' set jit = off
as $$
begin
    update windsock.withdrawals w
    set lifted_at = pg_catalog.now()
    from (
        select o.id::text as variant, o.settings as before, n.settings as after
        from old_rows o
        left join new_rows n on n.id = o.id
        where o.settings is distinct from n.settings
    ) changed
    where w.variant = changed.variant
        and w.lifted_at is null
        and w.flag like '%.profile'
        -- settings nest by flag where several classes are mirrored
        and coalesce(before -> left(w.flag, -length('.profile')) -> w.field, before -> w.field)
            is distinct from
            coalesce(after -> left(w.flag, -length('.profile')) -> w.field, after -> w.field);
    return null;
exception when others then
    raise warning 'windsock: withdrawals of changed values were not lifted: %', sqlerrm;
    return null;
end
$$;

create function windsock.lift_deleted() returns trigger
language plpgsql security definer set search_path = '' set jit = off
as $$
begin
    update windsock.withdrawals w
    set lifted_at = pg_catalog.now()
    from old_rows o
    where w.variant = o.id::text and w.lifted_at is null;
    return null;
exception when others then
    raise warning 'windsock: withdrawals of deleted configurations were not lifted: %', sqlerrm;
    return null;
end
$$;

create trigger windsock_lift_updated after update on public.app_configurations
    referencing old table as old_rows new table as new_rows for each statement
    execute function windsock.lift_changed();
create trigger windsock_lift_deleted after delete on public.app_configurations
    referencing old table as old_rows for each statement execute function windsock.lift_deleted();
