-- The role of the configuration API, with the least that it needs: it adds rows to the audit and cannot change or delete
-- them, and it learns whether a token is in use without reading a hash. It cannot log in: give it a password with
--   alter role windsock_api login password '...'

do $$
begin
    if not exists (select from pg_catalog.pg_roles where rolname = 'windsock_api') then
        create role windsock_api nologin;
    end if;
exception
    when insufficient_privilege then
        raise warning 'windsock: the role windsock_api was not created: %', sqlerrm;
    when duplicate_object or unique_violation then
        null; -- another database of this server is being migrated at the same moment
end
$$;

-- The token with this SHA-256, if it may be used. Both sides are hashed once more with a number that nobody knows, so
-- that the time of the comparison tells nothing about a stored hash.
create function windsock.api_token(digest bytea) returns table (name text, role text)
language plpgsql security definer set search_path = '' as $$
declare
    nonce bytea := pg_catalog.uuid_send(pg_catalog.gen_random_uuid());
begin
    return query
    select token.name, token.role
    from windsock.api_tokens as token
    where token.revoked_at is null
        and pg_catalog.sha256(token.token_sha256 || nonce) = pg_catalog.sha256(digest || nonce);
end
$$;

-- The file of a write has been replaced; said once.
create function windsock.end_configuration_write(write_id bigint) returns void
language sql security definer set search_path = '' as $$
    update windsock.configuration_audit set written_at = pg_catalog.now()
    where id = write_id and written_at is null
$$;

revoke all on function windsock.api_token(bytea) from public;
revoke all on function windsock.end_configuration_write(bigint) from public;

do $$
begin
    if exists (select from pg_catalog.pg_roles where rolname = 'windsock_api') then
        grant usage on schema windsock to windsock_api;
        grant execute on function windsock.api_token(bytea) to windsock_api;
        grant execute on function windsock.end_configuration_write(bigint) to windsock_api;
        grant select (id) on windsock.configuration_audit to windsock_api;
        grant insert (actor, flag, file, revision_before, revision_after, request, changed)
            on windsock.configuration_audit to windsock_api;
    end if;
end
$$;
