-- What the triggers do to an application's own writes, made smaller.
--   NOTIFY takes one lock for the whole server at commit, so writers waited for each other; and with a full queue or in a
--   transaction that is prepared it fails at the end, where no trigger can catch it. Now nobody is notified unless a
--   mirror sleeps, the queue has room and no transaction can be prepared. Otherwise the mirror looks by itself.
--   One trigger does for an assignment what two did: it logs the change and keeps the history.

-- Wakes a mirror that sleeps. A mirror that sleeps holds this advisory lock; the number is "windsock" in ASCII. A writer
-- that gets it shared has found no mirror asleep, and holds it until its transaction ends: until then no mirror can fall
-- asleep, and then it reads the log once more. Whoever else takes the lock costs a notification or a look at the log.
create function windsock.wake_mirror() returns pg_catalog.void
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
begin
    if not pg_catalog.pg_try_advisory_xact_lock_shared(8603657889541918571)
        and pg_catalog.current_setting('max_prepared_transactions') = '0'
        and pg_catalog.pg_notification_queue_usage() < 0.5
    then
        perform pg_catalog.pg_notify('windsock', '');
    end if;
end
$$;

create or replace function windsock.log_assignments() returns pg_catalog.trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp set jit = off
as $$
declare
    most constant bigint := 10000; -- more are logged as "any row": a mirror reads everything then anyway
    longest constant bigint := 2000; -- bytes of an id that an index takes
    total bigint;
begin
    if tg_relid <> 'public.profiles'::pg_catalog.regclass then
        raise exception 'log_assignments() belongs to public.profiles';
    end if;
    if tg_op = 'INSERT' then
        with changed as materialized (
            select id::pg_catalog.text as user_id, config_id from new_rows where config_id is not null
        ), logged as (
            insert into windsock.change_log (changed_table, row_id)
            select 'profiles', user_id from changed limit most + 1
        ), kept as (
            insert into windsock.assignment_history (user_id, config_id)
            select user_id, config_id from changed where pg_catalog.octet_length(user_id) <= longest
        )
        select pg_catalog.count(*) into total from changed;
    elsif tg_op = 'DELETE' then
        with changed as materialized (
            select id::pg_catalog.text as user_id from old_rows where config_id is not null
        ), logged as (
            insert into windsock.change_log (changed_table, row_id)
            select 'profiles', user_id from changed limit most + 1
        ), kept as (
            insert into windsock.assignment_history (user_id)
            select user_id from changed where pg_catalog.octet_length(user_id) <= longest
        )
        select pg_catalog.count(*) into total from changed;
    else -- most updates of a profile are about something else and leave no row here
        with changed as materialized (
            select coalesce(n.id, o.id)::pg_catalog.text as user_id, n.config_id
            from new_rows n
            full join old_rows o on o.id = n.id
            where n.config_id is distinct from o.config_id
        ), logged as (
            insert into windsock.change_log (changed_table, row_id)
            select 'profiles', user_id from changed limit most + 1
        ), kept as (
            insert into windsock.assignment_history (user_id, config_id)
            select user_id, config_id from changed where pg_catalog.octet_length(user_id) <= longest
        )
        select pg_catalog.count(*) into total from changed;
    end if;
    if total > most then
        insert into windsock.change_log (changed_table, row_id) values ('profiles', null);
    end if;
    if total > 0 then
        perform windsock.wake_mirror();
    end if;
    return null;
exception when others then
    raise warning 'windsock: a change of profiles was not logged: %', sqlerrm;
    return null;
end
$$;

drop trigger windsock_history_inserted on public.profiles;
drop trigger windsock_history_updated on public.profiles;
drop trigger windsock_history_deleted on public.profiles;
drop function windsock.keep_assignments();

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
    perform windsock.wake_mirror();
    return null;
exception when others then
    raise warning 'windsock: a change of app_configurations was not logged: %', sqlerrm;
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
    perform windsock.wake_mirror();
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
    perform windsock.wake_mirror();
    return null;
exception when others then
    raise warning 'windsock: a withdrawal was not logged: %', sqlerrm;
    return null;
end
$$;

-- A withdrawal that a service is writing just now isn't waited for: a frozen service would block the correction of a
-- configuration. The corrected value has another fingerprint, so it's served either way.
create or replace function windsock.lift_changed() returns pg_catalog.trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp set jit = off
as $$
begin
    if tg_relid <> 'public.app_configurations'::pg_catalog.regclass then
        raise exception 'lift_changed() belongs to public.app_configurations';
    end if;
    update windsock.withdrawals w
    set lifted_at = pg_catalog.now()
    where w.ctid = any (array(
        select free.ctid
        from windsock.withdrawals free
        join (
            select o.id::pg_catalog.text as variant, o.settings as before, n.settings as after
            from old_rows o
            left join new_rows n on n.id = o.id
            where o.settings is distinct from n.settings
        ) changed on changed.variant = free.variant
        where free.lifted_at is null
            and free.flag like '%.profile'
            -- settings nest by flag where several classes are mirrored
            and coalesce(
                before -> pg_catalog."left"(free.flag, -pg_catalog.length('.profile')) -> free.field,
                before -> free.field
            ) is distinct from coalesce(
                after -> pg_catalog."left"(free.flag, -pg_catalog.length('.profile')) -> free.field,
                after -> free.field
            )
        for update of free skip locked
    ));
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
    where w.ctid = any (array(
        select free.ctid
        from windsock.withdrawals free
        join old_rows o on o.id::pg_catalog.text = free.variant
        where free.lifted_at is null
        for update of free skip locked
    ));
    return null;
exception when others then
    raise warning 'windsock: withdrawals of deleted configurations were not lifted: %', sqlerrm;
    return null;
end
$$;

create or replace function windsock.end_configuration_write(write_id bigint) returns pg_catalog.void
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
begin
    update windsock.configuration_audit set written_at = pg_catalog.now()
    where id = write_id and written_at is null;
    if found then
        perform windsock.wake_mirror();
    end if;
end
$$;

-- Cuts the change log, the oldest first and not all at once, and remembers how far: a mirror that is behind that reads
-- everything. Of a user who was assigned again and again within a minute, the history keeps the minute's last.
create function windsock.cut_log(keep pg_catalog.interval, most bigint) returns pg_catalog.void
language sql security definer set search_path = pg_catalog, pg_temp
as $$
    with old as (
        delete from windsock.change_log
        where ctid = any (array(
            select ctid from windsock.change_log
            where logged_at < pg_catalog.now() - keep
                and xid < pg_catalog.pg_snapshot_xmin(pg_catalog.pg_current_snapshot())
            order by xid
            limit most
        ))
        returning xid, changed_table, row_id
    ), restless as (
        select row_id from old where changed_table = 'profiles' group by row_id having pg_catalog.count(*) > 1
    ), forgotten as (
        delete from windsock.assignment_history h
        using restless
        where h.user_id = restless.row_id
            and h.changed_at < pg_catalog.now() - keep
            and exists (
                select from windsock.assignment_history later
                where later.user_id = h.user_id
                    and (later.changed_at, later.id) > (h.changed_at, h.id)
                    and pg_catalog.date_trunc('minute', later.changed_at)
                        = pg_catalog.date_trunc('minute', h.changed_at)
            )
    ), newest as (
        select xid from old order by xid desc limit 1 -- max() knows xid8 only since PostgreSQL 15
    )
    update windsock.change_log_cut
    set xid = greatest(change_log_cut.xid, newest.xid)
    from newest
$$;

revoke all on all functions in schema windsock from public;

do $$
begin
    if exists (select from pg_catalog.pg_roles where rolname = 'windsock_mirror') then
        grant execute on function windsock.cut_log(pg_catalog.interval, bigint) to windsock_mirror;
    end if;
    if not exists (select from pg_catalog.pg_roles where rolname = 'windsock_definer') then
        return;
    end if;
    grant select, delete on windsock.change_log to windsock_definer;
    grant select, update on windsock.change_log_cut to windsock_definer;
    grant select on windsock.withdrawals to windsock_definer;
    grant select (id, user_id, changed_at), delete on windsock.assignment_history to windsock_definer;
    if pg_catalog.pg_has_role('windsock_definer', 'usage') then
        grant create on schema windsock to windsock_definer; -- an owner needs it at this moment
        alter function windsock.wake_mirror() owner to windsock_definer;
        alter function windsock.cut_log(pg_catalog.interval, bigint) owner to windsock_definer;
        revoke create on schema windsock from windsock_definer;
    end if;
end
$$;
