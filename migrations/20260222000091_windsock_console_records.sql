-- The console records what an experiment's report decides, as `windsock experiment decide --record` does.
do $$
begin
    if exists (select from pg_catalog.pg_roles where rolname = 'windsock_console') then
        grant insert on windsock.analysis_snapshots to windsock_console;
    end if;
end
$$;
