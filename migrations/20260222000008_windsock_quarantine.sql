-- Values that failed in use: the faults, one row a request, and the values that are not served because of them.
-- In the private schema; the services report through the role windsock_writer, the mirror reads.

create table windsock.faults (
    id uuid primary key, -- made by the client, so that a batch can be sent twice without harm
    flag text not null,
    variant text not null, -- of a profile flag: the configuration's id
    field text not null,
    fingerprint text not null, -- tells the value from others at the same place
    value text, -- as JSON; null where the field is secret
    error text not null,
    request_id text not null,
    reported_at timestamptz not null default now()
);
create index faults_place_idx on windsock.faults (flag, variant, field, fingerprint, reported_at);
create index faults_reported_at_idx on windsock.faults (reported_at);

create table windsock.withdrawals (
    flag text not null,
    variant text not null,
    field text not null,
    fingerprint text not null, -- another value at the same place is served
    value text,
    reason text not null,
    withdrawn_at timestamptz not null default now(),
    expires_at timestamptz not null,
    lifted_at timestamptz,
    primary key (flag, variant, field, fingerprint)
);

-- The mirror leaves withdrawn values out of its documents, so a withdrawal is a change of the configuration.
create function windsock.log_withdrawals() returns trigger
language plpgsql security definer set search_path = '' set jit = off
as $$
begin
    insert into windsock.change_log (changed_table, row_id)
    select distinct 'app_configurations', variant
    from new_rows
    where exists (select from public.app_configurations c where c.id::text = new_rows.variant);
    perform pg_catalog.pg_notify('windsock', '');
    return null;
exception when others then
    raise warning 'windsock: a withdrawal was not logged: %', sqlerrm;
    return null;
end
$$;

create trigger windsock_inserted after insert on windsock.withdrawals
    referencing new table as new_rows for each statement execute function windsock.log_withdrawals();
create trigger windsock_updated after update on windsock.withdrawals
    referencing new table as new_rows for each statement execute function windsock.log_withdrawals();

do $$
begin
    if exists (select from pg_catalog.pg_roles where rolname = 'windsock_mirror') then
        grant select on windsock.withdrawals to windsock_mirror;
    end if;
    if exists (select from pg_catalog.pg_roles where rolname = 'windsock_writer') then
        grant usage on schema windsock to windsock_writer;
        grant select, insert, delete on windsock.faults to windsock_writer;
        grant select, insert, update on windsock.withdrawals to windsock_writer;
    end if;
end
$$;
