-- A session that holds a lock on one of our tables (LOCK TABLE, VACUUM FULL, a rebuilt index) held up every write of an
-- application for as long. A trigger waits a second for it; then the statement goes on without, with a warning in the
-- server's log. The mirror finds a change that wasn't logged within half a minute.
alter function windsock.log_assignments() set lock_timeout = '1s';
alter function windsock.log_configurations() set lock_timeout = '1s';
alter function windsock.log_truncate() set lock_timeout = '1s';
alter function windsock.log_withdrawals() set lock_timeout = '1s';
alter function windsock.keep_configurations() set lock_timeout = '1s';
alter function windsock.lift_changed() set lock_timeout = '1s';
alter function windsock.lift_deleted() set lock_timeout = '1s';

-- `windsock forget` asks for the arms of a profile, and for the faults of a person's requests.
create index faults_request_idx on windsock.faults (request_id);
create index experiment_assignments_profile_idx on windsock.experiment_assignments (profile_id);
