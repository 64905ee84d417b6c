-- The file of a write has been replaced; said once, and to the mirror, which writes the file's values into SQL: it need
-- not wait until it looks at the file again.
create or replace function windsock.end_configuration_write(write_id bigint) returns void
language plpgsql security definer set search_path = '' as $$
begin
    update windsock.configuration_audit set written_at = pg_catalog.now()
    where id = write_id and written_at is null;
    if found then
        perform pg_catalog.pg_notify('windsock', '');
    end if;
end
$$;
