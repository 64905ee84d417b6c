-- What `windsock profile` changed, so that it can be told and undone; and whom `windsock experiment assign` gave which
-- arm, where the arms are profiles.

create table windsock.profile_changes (
    id bigint generated always as identity primary key,
    changed_at timestamptz not null default pg_catalog.clock_timestamp(),
    actor text not null default session_user,
    action text not null check (action in ('create', 'edit', 'assign', 'undo')),
    profile text, -- its name; null: users were unassigned
    before jsonb not null, -- of a profile its row; of an assignment user id -> configuration's id
    after jsonb not null,
    undone_by bigint references windsock.profile_changes (id)
);

create table windsock.experiment_assignments (
    experiment text not null,
    version integer not null,
    unit text not null, -- hashed if user ids are
    arm text not null,
    flag text not null,
    fields text[] not null, -- those that any arm sets: reading one exposes
    allocation real not null, -- the arm's share, 0 to 1
    key_fingerprint text,
    profile_id uuid not null, -- the user's row in profiles
    config_id uuid not null,
    assigned_at timestamptz not null default pg_catalog.clock_timestamp(),
    undone_at timestamptz,
    primary key (experiment, version, unit)
);
create index experiment_assignments_unit_idx on windsock.experiment_assignments (unit, flag);

do $$
begin
    if exists (select from pg_catalog.pg_roles where rolname = 'windsock_assigner') then
        grant usage on schema windsock to windsock_assigner;
        grant select, insert on windsock.profile_changes, windsock.experiment_assignments to windsock_assigner;
        grant update (undone_by) on windsock.profile_changes to windsock_assigner;
        grant update (undone_at) on windsock.experiment_assignments to windsock_assigner;
        grant select (settings) on public.app_configurations to windsock_assigner;
    end if;
    if exists (select from pg_catalog.pg_roles where rolname = 'windsock_writer') then
        grant select on windsock.experiment_assignments to windsock_writer;
    end if;
    if exists (select from pg_catalog.pg_roles where rolname = 'windsock_analyst') then
        grant select on windsock.experiment_assignments to windsock_analyst;
    end if;
end
$$;
