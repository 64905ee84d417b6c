-- A service withdraws a value for an hour. Whoever has its role could write a withdrawal that never ends, and one that ends
-- at 'infinity' broke the sharing of withdrawals on PostgreSQL before 17. NOT VALID: rows from before stay.
update windsock.withdrawals
set expires_at = pg_catalog.now() + interval '1 hour'
where expires_at > pg_catalog.now() + interval '1 day';
alter table windsock.withdrawals add constraint withdrawals_end check (
    expires_at <= pg_catalog.now() + interval '1 day'
) not valid;
