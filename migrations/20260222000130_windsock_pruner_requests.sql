-- `windsock forget` also erases the events of a person's requests that name nobody: it reads which request an event is of.

create index metric_events_request_idx on windsock.metric_events (request_id) where user_id is null;

do $$
begin
    if exists (select from pg_catalog.pg_roles where rolname = 'windsock_pruner') then
        grant select (request_id) on windsock.metric_events to windsock_pruner;
    end if;
end
$$;
