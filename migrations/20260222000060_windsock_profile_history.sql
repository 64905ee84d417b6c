-- What an experiment's analysis needs to know about arms that weren't served as declared: values that were withdrawn, and
-- profiles that were deactivated, deleted or edited. Names and times only; no value can be read through either.

-- Each change of a profile. An edit names the keys of its settings that changed.
create view windsock.profile_history as
select
    h.config_id,
    h.changed_at,
    coalesce(h.is_active, false) as is_active, -- false: deactivated or deleted
    case when h.before is null then ''
    else pg_catalog.array_to_string(array(
        select coalesce(was.key, now.key)
        from pg_catalog.jsonb_each(case pg_catalog.jsonb_typeof(h.before) when 'object' then h.before end) as was
        full join pg_catalog.jsonb_each(case pg_catalog.jsonb_typeof(h.settings) when 'object' then h.settings end) as now
            on now.key = was.key
        where now.value is distinct from was.value
        order by 1
    ), ' ') end as changed -- words with spaces between; empty where the settings are as before
from (
    select
        config_id, changed_at, is_active, settings,
        pg_catalog.lag(settings) over (partition by config_id order by changed_at, id) as before
    from windsock.configuration_history
) as h;

do $$
begin
    if exists (select from pg_catalog.pg_roles where rolname = 'windsock_analyst') then
        grant select on windsock.profile_history to windsock_analyst;
        grant select (flag, variant, field, fingerprint, withdrawn_at, expires_at, lifted_at)
            on windsock.withdrawals to windsock_analyst;
    end if;
end
$$;
