-- What the mirrors say of themselves: by it a mirror on standby knows whether the leader of its group publishes, and a
-- service how old the mirror's word is.

create table windsock.mirrors (
    group_name text primary key,
    folder text not null, -- tells the folder of the documents from others; it is in mirror.json
    reported_at timestamptz not null, -- when the mirror that leads was last at work
    right_at timestamptz, -- when its documents were last known to be right; null: not yet
    trouble text not null -- what is wrong; empty when nothing is
);

do $$
declare
    reader pg_catalog.name;
begin
    if exists (select from pg_catalog.pg_roles where rolname = 'windsock_mirror') then
        grant select, insert, update on windsock.mirrors to windsock_mirror;
    end if;
    for reader in select rolname from pg_catalog.pg_roles where rolname in ('windsock_writer', 'windsock_api') loop
        execute pg_catalog.format('grant select on windsock.mirrors to %I', reader);
    end loop;
end
$$;
