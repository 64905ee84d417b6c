-- The console's own statements, each by the name in its first line.

-- name: limits
-- Bounds what one page may take of the database. Local to the transaction, so that it works through a pooler.
select pg_catalog.set_config('statement_timeout', '5s', true),
       pg_catalog.set_config('idle_in_transaction_session_timeout', '120s', true),
       pg_catalog.set_config('lock_timeout', '3s', true), pg_catalog.set_config('work_mem', '32MB', true);

-- name: open_session
-- Somebody signs in. Sessions that ended are forgotten at this occasion.
with ended as (
    delete from windsock.console_sessions
    where expires_at < pg_catalog.now() or rotated_at < pg_catalog.now() - interval '1 hour'
)
insert into windsock.console_sessions (session_sha256, form_key, token_sha256, actor, role, flags, expires_at)
values (%(digest)s, %(form_key)s, %(token)s, %(actor)s, %(role)s, %(flags)s,
        pg_catalog.now() + %(seconds)s::float8 * interval '1 second');

-- name: find_session
-- The session of a cookie: by its text, or for half a minute by the one before. Of a token, what it may do now counts.
select s.id, coalesce(t.name, s.actor), coalesce(t.role, s.role), coalesce(t.flags, s.flags), s.token_sha256, s.form_key,
       s.session_sha256 = %(digest)s and s.rotated_at < pg_catalog.now() - interval '5 minutes'
from windsock.console_sessions s
left join lateral windsock.api_token(s.token_sha256) t on s.token_sha256 is not null
where (s.session_sha256 = %(digest)s
       or (s.previous_sha256 = %(digest)s and s.rotated_at > pg_catalog.now() - interval '30 seconds'))
  and s.expires_at > pg_catalog.now() and s.rotated_at > pg_catalog.now() - interval '1 hour'
  and (s.token_sha256 is null or t.name is not null);

-- name: rotate_session
-- Another text for the cookie, unless another request was faster.
update windsock.console_sessions
set previous_sha256 = session_sha256, session_sha256 = %(digest)s, rotated_at = pg_catalog.now()
where id = %(id)s and rotated_at < pg_catalog.now() - interval '5 minutes'
returning id;

-- name: close_session
delete from windsock.console_sessions where id = %(id)s;

-- name: users_by_profile
-- How many users each profile has, those of most users first.
select config_id::text, pg_catalog.count(*) from public.profiles where config_id is not null
group by config_id order by 2 desc;

-- name: profiles
-- What profiles say, those of most users first.
select c.id::text, c.name, coalesce(c.is_active, true), coalesce(u.users, 0), c.settings
from public.app_configurations c
left join unnest(%(ids)s::uuid[], %(users)s::bigint[]) u (id, users) on u.id = c.id
order by 4 desc, c.name
limit %(limit)s;

-- name: users_between
-- Users whose ids begin alike, by the primary key; none where ids are not UUIDs.
select p.id::text, c.name
from public.profiles p
left join public.app_configurations c on c.id = p.config_id
where p.id between %(low)s::uuid and %(high)s::uuid
order by p.id
limit %(limit)s;

-- name: recent_users
-- Who asked last.
select user_id, pg_catalog.max(requested_at), pg_catalog.count(*)
from (select user_id, requested_at from public.usage_logs where user_id is not null
      order by requested_at desc limit 2000) as last
group by user_id
order by 2 desc
limit %(limit)s;

-- name: assignment
-- A user's profile, what it says if it is active, and whether there is such a user.
select c.name, p.config_id::text, case when coalesce(c.is_active, true) then c.settings end
from public.profiles p
left join public.app_configurations c on c.id = p.config_id
where p.id = %(user)s::uuid;

-- name: assignments
-- When a user had which profile, newest first.
select h.changed_at, h.config_id::text,
       (select name from public.app_configurations c where c.id = h.config_id)
from windsock.assignment_history h
where h.user_id = %(user)s
order by h.changed_at desc, h.id desc
limit 20;

-- name: active_names
-- The profiles that can be assigned.
select name from public.app_configurations where coalesce(is_active, true) order by name limit 500;

-- name: settings_of
-- What a profile says, by its name.
select settings from public.app_configurations where name = %(name)s;

-- name: touched
-- What the profiles say that a change is about: its own before and after, and those that its users had and have.
select case
    when action = 'assign' or (action = 'undo' and not (before ? 'settings'::text) and not (after ? 'settings'::text)) then
        (select coalesce(pg_catalog.array_agg(c.settings), '{}') from public.app_configurations c
         where c.id::text in (select value from pg_catalog.jsonb_each_text(before)
                              union select value from pg_catalog.jsonb_each_text(after)))
    else pg_catalog.array_remove(array[before -> 'settings'::text, after -> 'settings'::text], null)
    end
from windsock.profile_changes
where id = %(id)s;

-- name: settings_of_users
-- What the active profiles of some users say.
select p.id::text, c.settings
from public.profiles p
join public.app_configurations c on c.id = p.config_id
where p.id = any(%(users)s::uuid[]) and coalesce(c.is_active, true);

-- name: users_of
-- The first users who have a profile.
select p.id::text
from public.profiles p
join public.app_configurations c on c.id = p.config_id
where c.name = %(name)s
limit %(limit)s;

-- name: anybody
-- Whether any user is in the usage log.
select exists (select from public.usage_logs where user_id is not null);

-- name: changes
-- Changes of profiles, of assignments and of flag files, newest first.
select kind, id, changed_at, actor, action, subject, before, after, undone_by
from (
    select 'profile' as kind, id, changed_at, actor, action, profile as subject, before, after, undone_by
    from windsock.profile_changes
    union all
    select 'file', id, requested_at, actor, case when written_at is null then 'not written' else 'write' end, flag,
           null::jsonb, changed, null::bigint
    from windsock.configuration_audit
    where %(flag)s::text is null or flag = %(flag)s
) as every
where (%(kind)s::text is null or kind = %(kind)s) and (%(id)s::bigint is null or id = %(id)s)
order by changed_at desc, kind, id desc
limit %(limit)s offset %(offset)s;

-- name: written
-- One write of a flag file.
select flag, changed, written_at is not null from windsock.configuration_audit where id = %(id)s;

-- name: names
-- The profiles' names by their ids.
select id::text, name from public.app_configurations where id = any(%(ids)s::uuid[]);

-- name: profiles_by_id
-- What profiles are called and say of themselves.
select id::text, name, coalesce(description, ''), coalesce(is_active, true)
from public.app_configurations where id::text = any(%(ids)s);

-- name: evidence
-- The faults behind a withdrawal.
select pg_catalog.count(distinct request_id), pg_catalog.min(reported_at), pg_catalog.max(reported_at),
       (pg_catalog.array_agg(distinct pg_catalog.left(error, 300)))[1:3]
from windsock.faults
where flag = %(flag)s and variant = %(variant)s and field = %(field)s and fingerprint = %(fingerprint)s;

-- name: mirrors
-- How old each mirror's word is, in seconds, and what is wrong with it.
select group_name, extract(epoch from pg_catalog.now() - right_at)::float8,
       extract(epoch from pg_catalog.now() - reported_at)::float8, trouble
from windsock.mirrors order by group_name;

-- name: mirrored
-- Whether a mirror has reported within the last minute.
select exists (select from windsock.mirrors where reported_at > pg_catalog.now() - interval '1 minute');

-- name: changed_since_mirrored
-- When a profile was changed last, if no mirror's files have been right since; one of the newest changes.
select pg_catalog.max(changed_at)
from (select changed_at, profile from windsock.profile_changes order by id desc limit 200) as newest
where profile = %(name)s and changed_at > pg_catalog.now() - interval '1 hour'
  and changed_at > coalesce((select pg_catalog.max(right_at) from windsock.mirrors), '-infinity');

-- name: decisions
-- The newest recorded decision of each experiment.
select distinct on (experiment) experiment, version, decision, taken_at
from windsock.analysis_snapshots
order by experiment, taken_at desc;

-- name: over_time
-- Requests, errors, heals, latency, tokens and cost over time of some parts; {part} is what is asked for.
select pg_catalog.date_bin(pg_catalog.make_interval(secs => %(step)s), u.requested_at, '2000-01-01 00:00+00') as at,
       {part} as part,
       pg_catalog.count(*), pg_catalog.count(*) filter (where u.status = 'error'),
       pg_catalog.count(*) filter (where u.healed <> '[]'::jsonb),
       pg_catalog.percentile_cont(array[0.5, 0.95]) within group (order by u.latency_ms),
       coalesce(pg_catalog.sum(u.input_tokens), 0) + coalesce(pg_catalog.sum(u.output_tokens), 0),
       coalesce(pg_catalog.sum(u.cost), 0)::float8
from public.usage_logs u
where u.requested_at >= %(since)s and (%(flag)s::text is null or u.flag = %(flag)s)
  and ({part} = any(%(parts)s) or (%(none)s and {part} is null))
group by 1, 2;

-- name: totals
-- The same of all parts, for the whole time.
select {part} as part,
       pg_catalog.count(*), pg_catalog.count(*) filter (where u.status = 'error'),
       pg_catalog.count(*) filter (where u.healed <> '[]'::jsonb),
       pg_catalog.percentile_cont(array[0.5, 0.95]) within group (order by u.latency_ms),
       coalesce(pg_catalog.sum(u.input_tokens), 0) + coalesce(pg_catalog.sum(u.output_tokens), 0),
       coalesce(pg_catalog.sum(u.cost), 0)::float8
from public.usage_logs u
where u.requested_at >= %(since)s and (%(flag)s::text is null or u.flag = %(flag)s)
group by 1
order by 2 desc, 1
limit 50;

-- name: one_request
-- Every use of the request that a row belongs to.
select pg_catalog.to_jsonb(u) operator(pg_catalog.-) array['values', 'healed'], u."values"::text, u.healed::text
from public.usage_logs u
where u.id = %(id)s;
