-- What our roles may write, bounded: each row's text in kind and in size.

-- What a service reports of a value. Names have no control characters, so that no line of an alarm or of a patch is
-- theirs to begin; texts have an end. NOT VALID: rows from before stay.
alter table windsock.withdrawals add constraint withdrawals_are_bounded check (
    flag || variant || field || fingerprint !~ '[[:cntrl:]]'
    and octet_length(flag) <= 500 and octet_length(variant) <= 500
    and octet_length(field) <= 500 and octet_length(fingerprint) <= 200
    and octet_length(value) <= 300000 and octet_length(reason) <= 10000
) not valid;
alter table windsock.faults add constraint faults_are_bounded check (
    flag || variant || field || fingerprint !~ '[[:cntrl:]]'
    and octet_length(flag) <= 500 and octet_length(variant) <= 500
    and octet_length(field) <= 500 and octet_length(fingerprint) <= 200
    and octet_length(value) <= 300000 and octet_length(error) <= 10000 and octet_length(request_id) <= 1000
) not valid;

alter table windsock.configuration_audit add constraint configuration_audit_is_bounded check (
    octet_length(actor) <= 500 and octet_length(flag) <= 500 and octet_length(file) <= 4096
    and octet_length(revision_before) <= 200 and octet_length(revision_after) <= 200
    and octet_length(request::text) <= 2000000 and octet_length(changed::text) <= 4000000
) not valid;

-- The actor of a write is the token that was presented, not a name that the role windsock_api may choose.
create function windsock.begin_configuration_write(
    digest pg_catalog.bytea, flag pg_catalog.text, file pg_catalog.text,
    revision_before pg_catalog.text, revision_after pg_catalog.text,
    request pg_catalog.jsonb, changed pg_catalog.jsonb
) returns bigint
language sql security definer set search_path = pg_catalog, pg_temp
as $$
    insert into windsock.configuration_audit
        (actor, flag, file, revision_before, revision_after, request, changed)
    select token.name, $2, $3, $4, $5, $6, $7
    from windsock.api_token($1) as token
    where token.role = 'admin'
    returning id
$$;
revoke all on function windsock.begin_configuration_write(
    pg_catalog.bytea, pg_catalog.text, pg_catalog.text, pg_catalog.text, pg_catalog.text, pg_catalog.jsonb,
    pg_catalog.jsonb
) from public;

do $$
begin
    if exists (select from pg_catalog.pg_roles where rolname = 'windsock_api') then
        revoke insert on windsock.configuration_audit from windsock_api;
        revoke insert (actor, flag, file, revision_before, revision_after, request, changed)
            on windsock.configuration_audit from windsock_api;
        grant execute on function windsock.begin_configuration_write(
            pg_catalog.bytea, pg_catalog.text, pg_catalog.text, pg_catalog.text, pg_catalog.text, pg_catalog.jsonb,
            pg_catalog.jsonb
        ) to windsock_api;
    end if;
    if exists (select from pg_catalog.pg_roles where rolname = 'windsock_definer') then
        grant insert (actor, flag, file, revision_before, revision_after, request, changed)
            on windsock.configuration_audit to windsock_definer;
        if pg_catalog.pg_has_role('windsock_definer', 'usage') then
            grant create on schema windsock to windsock_definer; -- an owner needs it at this moment
            alter function windsock.begin_configuration_write(
                pg_catalog.bytea, pg_catalog.text, pg_catalog.text, pg_catalog.text, pg_catalog.text,
                pg_catalog.jsonb, pg_catalog.jsonb
            ) owner to windsock_definer;
            revoke create on schema windsock from windsock_definer;
        end if;
    end if;
end
$$;
