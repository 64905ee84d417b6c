-- name: token
-- The token with this hash, if it may be used; compared where the hashes are, in a time that tells nothing.
select name, role from windsock.api_token(%(digest)s);

-- name: patience
-- How long this transaction waits for a token that somebody has locked.
select set_config('statement_timeout', '3000', true);

-- name: add_token
-- A new token; nothing when the name is taken.
insert into windsock.api_tokens (name, role, token_sha256)
values (%(name)s, %(role)s, %(digest)s)
on conflict (name) do nothing
returning name;

-- name: revoke_token
-- A token that may be used no more; its name stays taken, since the audit names it.
update windsock.api_tokens set revoked_at = now()
where name = %(name)s and revoked_at is null
returning name;

-- name: begin_write
-- A write that is about to happen, by the admin whose token has this hash; null if it has been revoked.
select windsock.begin_configuration_write(
    %(digest)s, %(flag)s, %(file)s, %(revision_before)s, %(revision_after)s, %(request)s::jsonb, %(changed)s::jsonb
);

-- name: end_write
-- The file has been replaced.
select windsock.end_configuration_write(%(id)s);
