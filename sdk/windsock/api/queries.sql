-- name: token
-- The token with this hash, if it may be used; compared where the hashes are, in a time that tells nothing.
select name, role, flags from windsock.api_token(%(digest)s);

-- name: patience
-- How long this transaction waits for a token that somebody has locked.
select pg_catalog.set_config('statement_timeout', '3000', true);

-- name: add_token
-- A new token; nothing when the name is taken.
insert into windsock.api_tokens (name, role, token_sha256, flags)
values (%(name)s, %(role)s, %(digest)s, %(flags)s)
on conflict (name) do nothing
returning name;

-- name: tokens
-- Every token, without its hash.
select name, role, flags, created_at, revoked_at from windsock.api_tokens order by name;

-- name: revoke_token
-- A token that may be used no more; its name stays taken, since the audit names it.
update windsock.api_tokens set revoked_at = pg_catalog.now()
where name = %(name)s and revoked_at is null
returning name;

-- name: begin_write
-- A write that is about to happen, by whoever has the token with this hash; null if it may not, or not any more.
select windsock.begin_configuration_write(
    %(digest)s, %(flag)s, %(file)s, %(revision_before)s, %(revision_after)s, %(request)s::jsonb, %(changed)s::jsonb
);

-- name: begin_signed_in_write
-- As `begin_write`, for somebody whom the console has signed in.
insert into windsock.configuration_audit (actor, flag, file, revision_before, revision_after, request, changed)
values (%(actor)s, %(flag)s, %(file)s, %(revision_before)s, %(revision_after)s, %(request)s, %(changed)s)
returning id;

-- name: changes
-- What was changed of a flag, newest first; nothing unless the token with this hash is in use.
select id, requested_at, written_at, actor, revision_before, revision_after, changed
from windsock.configuration_changes(%(digest)s, %(flag)s, %(before)s, %(limit)s);

-- name: end_write
-- The file has been replaced.
select windsock.end_configuration_write(%(id)s);

-- name: mirrors_behind
-- Groups of mirrors whose documents have not been right for a while: what they write comes once they are back.
select group_name, trouble, extract(epoch from pg_catalog.clock_timestamp() - right_at)::double precision
from windsock.mirrors
where trouble <> '' or right_at is null or right_at < pg_catalog.clock_timestamp() - interval '15 s'
order by group_name;
