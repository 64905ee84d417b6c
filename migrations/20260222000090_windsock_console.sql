-- The web console: who is signed in, the role editor, tokens that change some flags only, and the console's own role.

-- An editor changes values; an admin also reloads, and starts and stops experiments.
alter table windsock.api_tokens drop constraint if exists api_tokens_role_check;
alter table windsock.api_tokens add constraint api_tokens_role_check check (role in ('reader', 'editor', 'admin'));
alter table windsock.api_tokens add column flags text[] not null default '{}'; -- beginnings of keys; empty: all flags

-- As before, with the flags that the token may change.
drop function windsock.api_token(pg_catalog.bytea);
create function windsock.api_token(digest pg_catalog.bytea)
returns table (name pg_catalog.text, role pg_catalog.text, flags pg_catalog.text[])
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    nonce pg_catalog.bytea := pg_catalog.uuid_send(pg_catalog.gen_random_uuid());
begin
    return query
    select token.name, token.role, token.flags
    from windsock.api_tokens as token
    where token.revoked_at is null
        and pg_catalog.sha256(token.token_sha256 || nonce) = pg_catalog.sha256(digest || nonce);
end
$$;
revoke all on function windsock.api_token(pg_catalog.bytea) from public;

-- As before, for editors as well, each for the flags that are theirs.
create or replace function windsock.begin_configuration_write(
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
    where token.role in ('editor', 'admin')
        and (pg_catalog.cardinality(token.flags) = 0
            or exists (select from pg_catalog.unnest(token.flags) as own
                       where pg_catalog.starts_with($2, own)))
    returning id
$$;
revoke all on function windsock.begin_configuration_write(
    pg_catalog.bytea, pg_catalog.text, pg_catalog.text, pg_catalog.text, pg_catalog.text, pg_catalog.jsonb,
    pg_catalog.jsonb
) from public;

-- Who is signed in. The cookie's text is kept as its hash only; it changes every few minutes.
create table windsock.console_sessions (
    id bigint generated always as identity primary key,
    session_sha256 bytea not null unique check (octet_length(session_sha256) = 32),
    previous_sha256 bytea, -- good for half a minute more: requests may be under way
    form_key text not null, -- in every form, so that no other site can send one
    token_sha256 bytea, -- whose token it was: revoking that ends the session; null: signed in by a JWT
    actor text not null check (actor <> '' and octet_length(actor) <= 500),
    role text not null check (role in ('reader', 'editor', 'admin')),
    flags text[] not null default '{}',
    rotated_at timestamptz not null default pg_catalog.now(),
    expires_at timestamptz not null
);
create index console_sessions_previous_idx on windsock.console_sessions (previous_sha256);

-- The console's role: it reads what its pages show, and writes profiles, assignments and the audit for people whom it
-- has signed in. It can't log in: alter role windsock_console login password '...'. It sees past row level security as
-- windsock_assigner does.
do $$
begin
    if not exists (select from pg_catalog.pg_roles where rolname = 'windsock_console') then
        begin
            create role windsock_console nologin bypassrls;
        exception when insufficient_privilege then
            create role windsock_console nologin;
        end;
    end if;
exception
    when insufficient_privilege then
        raise warning 'windsock: the role windsock_console was not created: %', sqlerrm;
    when duplicate_object or unique_violation then
        null; -- another database of this server is being migrated at the same moment
end
$$;

do $$
begin
    if exists (select from pg_catalog.pg_roles where rolname = 'windsock_api') then
        grant execute on function windsock.api_token(pg_catalog.bytea) to windsock_api;
    end if;
    if exists (select from pg_catalog.pg_roles where rolname = 'windsock_console') then
        grant usage on schema public, windsock to windsock_console;
        grant execute on function windsock.api_token(pg_catalog.bytea) to windsock_console;
        grant execute on function windsock.begin_configuration_write(
            pg_catalog.bytea, pg_catalog.text, pg_catalog.text, pg_catalog.text, pg_catalog.text, pg_catalog.jsonb,
            pg_catalog.jsonb
        ) to windsock_console;
        grant execute on function windsock.end_configuration_write(bigint) to windsock_console;
        grant select, insert, update, delete on windsock.console_sessions to windsock_console;
        grant select, insert, update, delete on public.app_configurations to windsock_console;
        grant select (id, config_id), update (config_id) on public.profiles to windsock_console;
        grant select on public.usage_logs, windsock.assignment_history, windsock.configuration_history,
            windsock.mirrors, windsock.exposures, windsock.metric_events, windsock.analysis_snapshots,
            windsock.experiment_assignments, windsock.faults to windsock_console;
        grant select, insert on windsock.configuration_audit, windsock.profile_changes to windsock_console;
        grant update (undone_by) on windsock.profile_changes to windsock_console;
        grant select on windsock.withdrawals to windsock_console;
        grant update (lifted_at) on windsock.withdrawals to windsock_console;
    end if;
    if exists (select from pg_catalog.pg_roles where rolname = 'windsock_console' and not rolbypassrls) then
        create policy windsock_console on public.profiles to windsock_console using (true) with check (true);
        create policy windsock_console on public.app_configurations to windsock_console
            using (true) with check (true);
        create policy windsock_console on public.usage_logs for select to windsock_console using (true);
    end if;
    if exists (select from pg_catalog.pg_roles where rolname = 'windsock_definer') then
        grant select (flags) on windsock.api_tokens to windsock_definer;
        if pg_catalog.pg_has_role('windsock_definer', 'usage') then
            grant create on schema windsock to windsock_definer; -- an owner needs it at this moment
            alter function windsock.api_token(pg_catalog.bytea) owner to windsock_definer;
            revoke create on schema windsock from windsock_definer;
        end if;
    end if;
end
$$;
