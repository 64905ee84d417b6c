-- An analysis compares its declaration with that of the first recorded look.

do $$
begin
    if exists (select from pg_catalog.pg_roles where rolname = 'windsock_analyst') then
        grant select (experiment, version, environment, taken_at, declared)
            on windsock.analysis_snapshots to windsock_analyst;
    end if;
end
$$;
