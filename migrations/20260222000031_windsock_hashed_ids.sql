-- The keyed hash that user ids have in our tables where WINDSOCK_USER_ID_KEY is set, so that business tables can be
-- joined: HMAC (RFC 2104) of PostgreSQL's own SHA-256. Pass the key as a bind parameter; a literal would be in the log.

create function windsock.hashed_user_id(user_id pg_catalog.text, key pg_catalog.bytea) returns pg_catalog.text
language plpgsql immutable strict parallel safe set search_path = pg_catalog, pg_temp as $$
declare
    block constant pg_catalog.int4 := 64; -- bytes that SHA-256 works on at a time
    short_key pg_catalog.bytea := key;
    inner_pad pg_catalog.bytea;
    outer_pad pg_catalog.bytea;
    digest pg_catalog.bytea;
begin
    if pg_catalog.length(short_key) > block then
        short_key := pg_catalog.sha256(short_key);
    end if;
    inner_pad := short_key || pg_catalog.decode(
        pg_catalog.repeat('00', block - pg_catalog.length(short_key)), 'hex');
    outer_pad := inner_pad;
    for i in 0..block - 1 loop
        inner_pad := pg_catalog.set_byte(inner_pad, i, pg_catalog.get_byte(inner_pad, i) # 54);
        outer_pad := pg_catalog.set_byte(outer_pad, i, pg_catalog.get_byte(outer_pad, i) # 92);
    end loop;
    digest := pg_catalog.sha256(inner_pad || pg_catalog.convert_to(user_id, 'UTF8'));
    digest := pg_catalog.sha256(outer_pad || digest);
    return 'hmac:' || pg_catalog.left(pg_catalog.encode(digest, 'hex'), 32);
end
$$;
revoke all on function windsock.hashed_user_id(pg_catalog.text, pg_catalog.bytea) from public;

do $$
begin
    if exists (select from pg_catalog.pg_roles where rolname = 'windsock_analyst') then
        grant execute on function windsock.hashed_user_id(pg_catalog.text, pg_catalog.bytea) to windsock_analyst;
    end if;
end
$$;

-- To the role that owns every function of ours; see 20260222000024.
do $$
begin
    if not exists (select from pg_catalog.pg_roles where rolname = 'windsock_definer') then
        return;
    end if;
    grant create on schema windsock to windsock_definer; -- an owner needs it at this moment
    alter function windsock.hashed_user_id(pg_catalog.text, pg_catalog.bytea) owner to windsock_definer;
    revoke create on schema windsock from windsock_definer;
exception when insufficient_privilege then
    raise warning 'windsock: the function hashed_user_id still belongs to %: %', current_user, sqlerrm;
end
$$;
