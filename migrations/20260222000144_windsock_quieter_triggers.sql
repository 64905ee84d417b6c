-- Three ways in which our triggers still made a statement of an application fail.

-- A column of a type that can't be compared, such as json, failed updates of app_configurations: the trigger that moves
-- updated_at compared the rows. It compares their bytes, which every type has.
drop trigger windsock_touched on public.app_configurations;
create trigger windsock_touched before update on public.app_configurations
    for each row when (new.* operator(pg_catalog.*<>) old.*)
    execute function windsock.touch_configuration();

-- A statement_timeout shorter than our wait for a locked table cancelled the application's statement.
alter function windsock.log_assignments() set lock_timeout = '100ms';
alter function windsock.log_configurations() set lock_timeout = '100ms';
alter function windsock.log_truncate() set lock_timeout = '100ms';
alter function windsock.log_withdrawals() set lock_timeout = '100ms';
alter function windsock.keep_configurations() set lock_timeout = '100ms';
alter function windsock.lift_changed() set lock_timeout = '100ms';
alter function windsock.lift_deleted() set lock_timeout = '100ms';

-- Two serializable transactions that change two configurations read each other's withdrawals, since each read the whole
-- table, and one of them failed. By an index each reads its own.
create index withdrawals_variant_idx on windsock.withdrawals (variant);
alter function windsock.lift_changed() set enable_seqscan = off;
alter function windsock.lift_changed() set enable_bitmapscan = off;
alter function windsock.lift_changed() set enable_hashjoin = off;
alter function windsock.lift_changed() set enable_mergejoin = off;
alter function windsock.lift_deleted() set enable_seqscan = off;
alter function windsock.lift_deleted() set enable_bitmapscan = off;
alter function windsock.lift_deleted() set enable_hashjoin = off;
alter function windsock.lift_deleted() set enable_mergejoin = off;
