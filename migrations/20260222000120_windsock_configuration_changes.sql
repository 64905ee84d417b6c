-- The audit of one flag, for whoever has a token in use: the API's role can't read the table itself.

create index configuration_audit_flag_idx on windsock.configuration_audit (flag, id);

create function windsock.configuration_changes(
    digest pg_catalog.bytea, flag pg_catalog.text, before bigint, most integer
) returns table (
    id bigint, requested_at pg_catalog.timestamptz, written_at pg_catalog.timestamptz, actor pg_catalog.text,
    revision_before pg_catalog.text, revision_after pg_catalog.text, changed pg_catalog.jsonb
)
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
    select audit.id, audit.requested_at, audit.written_at, audit.actor, audit.revision_before, audit.revision_after,
        audit.changed
    from windsock.configuration_audit as audit
    where audit.flag = $2
        and ($3 is null or audit.id < $3)
        and exists (select from windsock.api_token($1))
    order by audit.id desc
    limit least($4, 201)
$$;
revoke all on function windsock.configuration_changes(
    pg_catalog.bytea, pg_catalog.text, bigint, integer
) from public;

do $$
begin
    if exists (select from pg_catalog.pg_roles where rolname = 'windsock_api') then
        grant execute on function windsock.configuration_changes(
            pg_catalog.bytea, pg_catalog.text, bigint, integer
        ) to windsock_api;
    end if;
    if exists (select from pg_catalog.pg_roles where rolname = 'windsock_console') then
        grant execute on function windsock.configuration_changes(
            pg_catalog.bytea, pg_catalog.text, bigint, integer
        ) to windsock_console;
    end if;
    if exists (select from pg_catalog.pg_roles where rolname = 'windsock_definer') then
        grant select (id, requested_at, written_at, actor, flag, revision_before, revision_after, changed)
            on windsock.configuration_audit to windsock_definer;
        if pg_catalog.pg_has_role('windsock_definer', 'usage') then
            grant create on schema windsock to windsock_definer; -- an owner needs it at this moment
            alter function windsock.configuration_changes(
                pg_catalog.bytea, pg_catalog.text, bigint, integer
            ) owner to windsock_definer;
            revoke create on schema windsock from windsock_definer;
        end if;
    end if;
end
$$;
