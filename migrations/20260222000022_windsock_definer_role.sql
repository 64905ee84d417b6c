-- The role that our functions run as. It can't log in, belongs to no other role, owns nothing but the functions, and may
-- do with the tables only what the functions do. A function that an attacker turns against us then gains that much.

do $$
begin
    if not exists (select from pg_catalog.pg_roles where rolname = 'windsock_definer') then
        create role windsock_definer nologin noinherit;
    end if;
exception
    when insufficient_privilege then
        raise warning 'windsock: the role windsock_definer was not created: %', sqlerrm;
    when duplicate_object or unique_violation then
        null; -- another database of this server is being migrated at the same moment
end
$$;

-- Whoever can act as this role can change what runs in everybody's writes to profiles, so a role of this name that
-- somebody else prepared isn't used.
do $$
declare
    definer constant pg_catalog.oid := (select oid from pg_catalog.pg_roles where rolname = 'windsock_definer');
    members constant pg_catalog.text := (
        select pg_catalog.string_agg(pg_catalog.quote_ident(member.rolname), ', ')
        from pg_catalog.pg_auth_members membership
        join pg_catalog.pg_roles member on member.oid = membership.member
        where membership.roleid = definer and not member.rolsuper and member.rolname <> current_user
    );
begin
    if exists (
        select from pg_catalog.pg_roles
        where oid = definer
            and (rolsuper or rolcanlogin or rolcreaterole or rolcreatedb or rolreplication or rolbypassrls)
    ) or exists (select from pg_catalog.pg_auth_members where member = definer) then
        raise exception 'the role windsock_definer has rights that it must not have'
            using hint = 'Drop it, or take from it LOGIN, every other attribute and every membership.';
    end if;
    if members is not null then
        raise exception 'other roles can act as windsock_definer: %', members
            using hint = pg_catalog.format('revoke windsock_definer from %s', members);
    end if;
end
$$;

do $$
begin
    if not exists (select from pg_catalog.pg_roles where rolname = 'windsock_definer') then
        return;
    end if;
    grant usage on schema windsock to windsock_definer;
    grant insert on windsock.change_log, windsock.assignment_history, windsock.configuration_history
        to windsock_definer;
    grant select (flag, variant, field, lifted_at), update (lifted_at) on windsock.withdrawals to windsock_definer;
    grant select (name, role, token_sha256, revoked_at) on windsock.api_tokens to windsock_definer;
    grant select (id, written_at), update (written_at) on windsock.configuration_audit to windsock_definer;
end
$$;
