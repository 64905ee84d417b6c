-- What changed, for the mirror: the row's key and the transaction that changed it. A private schema, because
-- everything in public is granted to anon and authenticated by default on Supabase.

create schema if not exists windsock;
revoke all on schema windsock from public;

create table windsock.change_log (
    xid xid8 not null default pg_current_xact_id(),
    changed_table text not null,
    row_id text, -- null: any row of the table may have changed
    logged_at timestamptz not null default clock_timestamp()
);

-- Readers ask for "transactions since": see mirror/queries.sql. Many rows share a transaction, and keys only grow.
create index change_log_xid_idx on windsock.change_log (xid);

-- Up to which transaction the log has been cut. A reader who is behind that reads everything again.
create table windsock.change_log_cut (
    only_row boolean primary key default true check (only_row),
    xid xid8 not null default '0'
);
insert into windsock.change_log_cut default values;
