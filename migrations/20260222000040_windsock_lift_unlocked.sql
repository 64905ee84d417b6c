-- Correcting or deleting a configuration waits for nobody: a withdrawal whose row a service has locked (one that was
-- frozen in the middle of its transaction, say) isn't lifted. It is of no effect, because it is of the old value.

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
        select held.flag, held.variant, held.field, held.fingerprint
        from windsock.withdrawals held
        where held.lifted_at is null
            and held.flag like '%.profile'
            and exists (
                select from old_rows o
                left join new_rows n on n.id = o.id
                where o.id::pg_catalog.text = held.variant
                    -- settings nest by flag where several classes are mirrored
                    and coalesce(
                        o.settings -> pg_catalog."left"(held.flag, -pg_catalog.length('.profile')) -> held.field,
                        o.settings -> held.field
                    ) is distinct from coalesce(
                        n.settings -> pg_catalog."left"(held.flag, -pg_catalog.length('.profile')) -> held.field,
                        n.settings -> held.field
                    )
            )
        for update skip locked
    ) free
    where w.flag = free.flag and w.variant = free.variant and w.field = free.field
        and w.fingerprint = free.fingerprint;
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
    from (
        select held.flag, held.variant, held.field, held.fingerprint
        from windsock.withdrawals held
        where held.lifted_at is null
            and exists (select from old_rows o where o.id::pg_catalog.text = held.variant)
        for update skip locked
    ) free
    where w.flag = free.flag and w.variant = free.variant and w.field = free.field
        and w.fingerprint = free.fingerprint;
    return null;
exception when others then
    raise warning 'windsock: withdrawals of deleted configurations were not lifted: %', sqlerrm;
    return null;
end
$$;

revoke all on function windsock.lift_changed() from public;
revoke all on function windsock.lift_deleted() from public;

do $$
begin
    if exists (select from pg_catalog.pg_roles where rolname = 'windsock_definer') then
        grant select (fingerprint) on windsock.withdrawals to windsock_definer;
    end if;
end
$$;
