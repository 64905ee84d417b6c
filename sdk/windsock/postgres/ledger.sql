-- The ledger of applied migrations is the Supabase CLI's own table, made and filled as that CLI does it
-- (version: the digits of the file name; name: the rest of it; statements: the file's statements, trimmed).

-- name: ledger_exists
-- Whether there is a ledger; asked first, because "if not exists" still demands the right to create.
select pg_catalog.to_regclass('supabase_migrations.schema_migrations') is not null;

-- name: create_schema
-- The Supabase CLI's schema.
create schema if not exists supabase_migrations;

-- name: create_ledger
-- The ledger in its first form; the two columns below came later.
create table if not exists supabase_migrations.schema_migrations (version text not null primary key);

-- name: add_statements
-- Ledgers made by early versions of the Supabase CLI lack it.
alter table supabase_migrations.schema_migrations add column if not exists statements text[];

-- name: add_name
-- Ledgers made by early versions of the Supabase CLI lack it.
alter table supabase_migrations.schema_migrations add column if not exists name text;

-- name: read
-- Everything that was applied, oldest first. Through jsonb, because an old ledger lacks columns.
select version, coalesce(pg_catalog.to_jsonb(ledger) ->> 'name'::text, ''), pg_catalog.to_jsonb(ledger) -> 'statements'::text
from supabase_migrations.schema_migrations ledger
order by version;

-- name: limit_turns
-- Anybody who may connect can hold the lock of migrations; another migration may take minutes.
select pg_catalog.set_config('lock_timeout', %(turn)s, true);

-- name: lock
-- One migration at a time in one database. Until the end of the transaction, so that it holds through any pooler.
select pg_catalog.pg_advisory_xact_lock(pg_catalog.hashtextextended('windsock migrate', 0));

-- name: lock_holder
-- Who holds that lock.
select pg_catalog.format('session %s of role %s holds the lock of migrations', activity.pid, activity.usename)
from pg_catalog.pg_locks locks
join pg_catalog.pg_stat_activity activity using (pid)
where locks.locktype = 'advisory' and locks.granted and locks.objsubid = 1
    and locks.database = (select oid from pg_catalog.pg_database where datname = pg_catalog.current_database())
    and (locks.classid::bigint << 32 | locks.objid::bigint) = pg_catalog.hashtextextended('windsock migrate', 0);

-- name: limit_waits
-- A statement that waits for a table holds up everybody behind it, also those who only read. Until the end of the
-- transaction, so that it works through any pooler.
select pg_catalog.set_config('lock_timeout', '2s', true);

-- name: record
-- One applied migration.
insert into supabase_migrations.schema_migrations (version, name, statements)
values (%(version)s, %(name)s, %(statements)s);

-- name: reset
-- A migration must not see a setting that the one before it left.
reset all;

-- name: lift_statement_limit
-- Limits that a role or a database has for an application's requests are too short for a migration.
set statement_timeout = 0;

-- name: lift_transaction_limit
-- An application's limit on transactions is too short as well; PostgreSQL 17 and later have it. A statement that looks
-- first would take longer than the limit may be.
set transaction_timeout = 0;

-- name: lift_idle_limits
-- So are limits on idle sessions. By name, because no version has them all.
select pg_catalog.set_config(name, '0', false)
from pg_catalog.pg_settings
where name operator(pg_catalog.=) any (array['idle_session_timeout', 'idle_in_transaction_session_timeout']);

-- name: columns
-- The columns of a table and their types; none if there is no such table.
select attname::text, pg_catalog.format_type(atttypid, null)
from pg_catalog.pg_attribute
where attrelid = pg_catalog.to_regclass(%(table)s)::oid and attnum > 0 and not attisdropped;

-- name: relation
-- What has a table's name: its kind, and the columns that are unique by themselves. And what of it belongs to a stranger (see
-- `planted`): the table, and the type of its id.
with strangers as (
    select owner.oid, owner.rolname::text
    from pg_catalog.pg_roles owner
    join pg_catalog.pg_roles me on me.rolname = current_user and me.oid <> owner.oid
    where not owner.rolsuper and (me.rolsuper or not pg_catalog.pg_has_role(owner.oid, 'usage'))
        and owner.oid <> (select datdba from pg_catalog.pg_database where datname = pg_catalog.current_database())
)
select case relkind when 'r' then 'table' when 'p' then 'table' when 'v' then 'view' when 'm' then 'materialized view'
            when 'f' then 'foreign table' when 'S' then 'sequence' else 'type' end,
       array(select attname::text
             from pg_catalog.pg_index join pg_catalog.pg_attribute on attrelid = indrelid and attnum = indkey[0]
             where indrelid = pg_class.oid and indisunique and indnkeyatts = 1 and indpred is null),
       (select rolname from strangers where strangers.oid = relowner),
       (select rolname
        from pg_catalog.pg_attribute
        join pg_catalog.pg_type on pg_type.oid = atttypid
        join strangers on strangers.oid = typowner
        where attrelid = pg_class.oid and attname = 'id')
from pg_catalog.pg_class
where oid = pg_catalog.to_regclass(%(table)s)::oid;

-- name: planted
-- The ledger and the schemas that migrations write to, where a stranger owns them: neither this role, nor one that can do
-- more anyway (a superuser, the database's owner), nor one that an ordinary role belongs to.
select what, owner.rolname::text
from (
    select 'schema ' || nspname::text, nspowner from pg_catalog.pg_namespace
    where nspname in ('supabase_migrations', 'windsock')
    union all
    select 'table supabase_migrations.schema_migrations', relowner from pg_catalog.pg_class
    where oid = pg_catalog.to_regclass('supabase_migrations.schema_migrations')::oid
) thing (what, owner)
join pg_catalog.pg_roles owner on owner.oid = thing.owner
join pg_catalog.pg_roles me on me.rolname = current_user and me.oid <> owner.oid
where not owner.rolsuper and (me.rolsuper or not pg_catalog.pg_has_role(owner.oid, 'usage'))
    and owner.oid <> (select datdba from pg_catalog.pg_database where datname = pg_catalog.current_database())
order by 1;

-- name: read_only
-- Why transactions can't write: the server is a standby, or a setting, and where it was made.
select pg_catalog.pg_is_in_recovery(),
       case source when 'database' then 'for the database' when 'user' then 'for the role'
            when 'database user' then 'for the role in this database' when 'client' then 'by the connection''s options'
            else 'for the server' end
from pg_catalog.pg_settings
where name = 'default_transaction_read_only';

-- name: missing_roles
-- Roles of ours that this server lacks, and the role that our functions run as, if it isn't the one that can't log in.
select array(select name
             from pg_catalog.unnest(array[
                 'windsock_analyst', 'windsock_api', 'windsock_assigner', 'windsock_console', 'windsock_definer',
                 'windsock_mirror', 'windsock_pruner', 'windsock_writer'
             ]) name
             where not exists (select from pg_catalog.pg_roles where rolname = name::name)
             order by name),
       (select pg_catalog.min(proowner::regrole::text) from pg_catalog.pg_proc
        where pronamespace = pg_catalog.to_regnamespace('windsock')::oid and prosecdef
            and proowner <> coalesce((select oid from pg_catalog.pg_roles where rolname = 'windsock_definer'), 0));

-- name: own_path
-- For our own questions and migrations: a function, operator or type that somebody else made is never taken for
-- PostgreSQL's. Until the end of the transaction.
select pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);

-- name: path_of_the_role
-- For an application's migration: what the role or the database has. Until the end of the transaction.
set local search_path to default;
