-- What `windsock prune` and `windsock forget` ask and delete. A batch at a time: no statement holds many rows' locks.

-- name: wait
-- How long each statement of the transaction waits for a lock.
select pg_catalog.set_config('lock_timeout', %s, true);

-- name: open_experiments
-- Experiments that somebody was exposed to since :cut, or whose assignments last.
select experiment from windsock.exposures group by experiment having pg_catalog.max(first_exposed_at) >= %(cut)s
union
select experiment from windsock.experiment_assignments where undone_at is null and assigned_at >= %(cut)s;

-- name: prune_usage
-- Without the requests of those who are in an open experiment: its metrics look back.
delete from public.usage_logs where id in (
    select id from public.usage_logs u
    where requested_at < %(cut)s
        and not exists (
            select from windsock.exposures e
            where e.experiment = any(%(open)s) and e.unit in (u.user_id, u.request_id))
    limit %(most)s);

-- name: prune_events
-- Without the events of those who are in an open experiment.
delete from windsock.metric_events where id in (
    select id from windsock.metric_events m
    where occurred_at < %(cut)s
        and not exists (
            select from windsock.exposures e
            where e.experiment = any(%(open)s) and e.unit in (m.user_id, m.unit, m.request_id))
    limit %(most)s);

-- name: prune_exposures
-- Those of experiments that are over.
delete from windsock.exposures where (experiment, version, environment, unit, arm) in (
    select experiment, version, environment, unit, arm from windsock.exposures
    where first_exposed_at < %(cut)s and experiment <> all(%(open)s)
    limit %(most)s);

-- name: prune_arms
-- Who was given which arm, of experiments that are over.
delete from windsock.experiment_assignments where (experiment, version, unit) in (
    select experiment, version, unit from windsock.experiment_assignments
    where assigned_at < %(cut)s and experiment <> all(%(open)s)
    limit %(most)s);

-- name: prune_assignments
-- What no moment since :cut needs: the newest row before it says what was the case then.
delete from windsock.assignment_history where (user_id, changed_at, id) in (
    select user_id, changed_at, id from windsock.assignment_history h
    where changed_at < %(cut)s
        and exists (
            select from windsock.assignment_history later
            where later.user_id = h.user_id and later.changed_at <= %(cut)s
                and (later.changed_at, later.id) > (h.changed_at, h.id))
    limit %(most)s);

-- name: prune_configurations
-- What no moment since :cut needs, of the configurations' values.
delete from windsock.configuration_history where id in (
    select id from windsock.configuration_history h
    where changed_at < %(cut)s
        and exists (
            select from windsock.configuration_history later
            where later.config_id = h.config_id and later.changed_at <= %(cut)s
                and (later.changed_at, later.id) > (h.changed_at, h.id))
    limit %(most)s);

-- name: prune_profile_changes
-- Changes that can't be undone any more.
delete from windsock.profile_changes where id in (
    select id from windsock.profile_changes where changed_at < %(cut)s order by id limit %(most)s);

-- name: prune_audit
-- Writes through the configuration API; Git has their content.
delete from windsock.configuration_audit where id in (
    select id from windsock.configuration_audit where requested_at < %(cut)s limit %(most)s);

-- name: prune_faults
-- What failed in use.
delete from windsock.faults where id in (
    select id from windsock.faults where reported_at < %(cut)s limit %(most)s);

-- name: prune_withdrawals
-- Values that have been served again for as long.
delete from windsock.withdrawals where (flag, variant, field, fingerprint) in (
    select flag, variant, field, fingerprint from windsock.withdrawals where expires_at < %(cut)s limit %(most)s);

-- name: cut_log
-- The mirror does so too; here for a database without one.
select windsock.cut_log(greatest(pg_catalog.now() - %(cut)s, interval '10 minutes'), %(most)s);

-- name: forget_profiles
-- Whoever is forgotten has no configuration, so that the mirror's documents don't name them. First: the triggers note
-- it down in the history, which goes next. {type} is the type of profiles.id, so that the primary key finds the rows.
update public.profiles set config_id = null
where id = any(%(ids)s::{type}[]) and id::text = any(%(names)s) and config_id is not null;

-- name: as_id
-- Whether a name could be of this type: a hash is no uuid, and no text has letters that the encoding lacks.
select %(name)s::{type};

-- name: forget_faults
-- Before the requests that they name.
delete from windsock.faults where request_id in (
    select request_id from public.usage_logs where user_id = any(%(names)s));

-- name: forget_request_exposures
-- Exposures of requests, before the requests that they name. Who calls chooses the request's id: what is another user's
-- id stays.
delete from windsock.exposures where unit in (
    select request_id from public.usage_logs where user_id = any(%(names)s)
    except
    select user_id from public.usage_logs where user_id in (
        select request_id from public.usage_logs where user_id = any(%(names)s)));

-- name: forget_exposures
-- Exposures of the user.
delete from windsock.exposures where unit = any(%(names)s);

-- name: forget_request_events
-- Events of requests that name nobody, before the requests that they name. Who calls chooses the request's id: what
-- names another user or unit stays. Those of the user's own units go below.
delete from windsock.metric_events where user_id is null and unit is null and request_id in (
    select request_id from public.usage_logs where user_id = any(%(names)s));

-- name: forget_request_usage
-- What the user's requests read for nobody. All rows of a request have its time: another request may have its id.
delete from public.usage_logs u using public.usage_logs mine
where mine.user_id = any(%(names)s) and u.user_id is null
    and u.requested_at = mine.requested_at and u.request_id = mine.request_id;

-- name: forget_usage
-- Requests.
delete from public.usage_logs where user_id = any(%(names)s);

-- name: forget_events
-- Metric events.
delete from windsock.metric_events where user_id = any(%(names)s) or unit = any(%(names)s);

-- name: forget_arms
-- Which arm the user was given.
delete from windsock.experiment_assignments where unit = any(%(names)s) or profile_id = any(%(uuids)s::uuid[]);

-- name: forget_assignments
-- Which configurations the user had. The mirror may not have read the last of them yet, so the change log keeps the id
-- for some minutes.
with logged as (
    insert into windsock.change_log (changed_table, row_id)
    select distinct 'profiles', user_id from windsock.assignment_history where user_id = any(%(names)s)
)
delete from windsock.assignment_history where user_id = any(%(names)s);

-- name: forget_profile_changes
-- Their keys in what assignments can be undone to.
update windsock.profile_changes set before = before - %(names)s::text[], after = after - %(names)s::text[]
where before ?| %(names)s::text[] or after ?| %(names)s::text[];
