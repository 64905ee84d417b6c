-- name: table_columns
-- The columns of a table, with their types.
select attname::text, pg_catalog.format_type(atttypid, null)
from pg_catalog.pg_attribute
where attrelid = pg_catalog.to_regclass(pg_catalog.format('%%I.%%I', %(schema)s::text, %(name)s::text))::oid and attnum > 0
    and not attisdropped;

-- name: table_keys
-- The columns of each unique index of a table that holds for all of its rows.
select (select pg_catalog.array_agg(attname::text order by attname)
        from pg_catalog.pg_attribute
        where attrelid = indrelid and attnum = any((indkey::int2[])[0:indnkeyatts - 1]))
from pg_catalog.pg_index
where indrelid = pg_catalog.to_regclass(pg_catalog.format('%%I.%%I', %(schema)s::text, %(name)s::text))::oid
    and indisunique and indpred is null;

-- name: write_base_values
-- The base values of a flag, one row for each of its fields; an unchanged row keeps its time.
insert into {table} as there (key, value, revision, updated_at)
select key, value::jsonb, revision, pg_catalog.now()
from unnest(%(keys)s::text[], %(values)s::text[], %(revisions)s::text[]) as base (key, value, revision)
on conflict (key) do update
set value = excluded.value, revision = excluded.revision, updated_at = excluded.updated_at
where (there.value, there.revision) is distinct from (excluded.value, excluded.revision);

-- name: remove_base_values
-- Rows of ours that the flag does not have any more; a row without a revision is somebody else's.
delete from {table}
where revision is not null and key::text <> all(%(keys)s::text[]);

-- name: read_base_values
-- Our rows, to compare.
select '', key, value, revision from {table} where revision is not null;

-- name: read_units
-- The units that values are resolved for: the id that targeting knows each by, and its attributes.
select id::text, pg_catalog.jsonb_strip_nulls(pg_catalog.to_jsonb(unit) - 'id'::text)
from {table} as unit
where id::text <> ''
limit %(limit)s;

-- name: write_unit_values
-- A row for each field of a unit that differs from the base; an unchanged row keeps its time.
insert into {table} as there (unit, key, value, revision, updated_at)
select unit, key, value::jsonb, revision, pg_catalog.now()
from unnest(%(units)s::text[], %(keys)s::text[], %(values)s::text[], %(revisions)s::text[])
    as own (unit, key, value, revision)
on conflict (unit, key) do update
set value = excluded.value, revision = excluded.revision, updated_at = excluded.updated_at
where (there.value, there.revision) is distinct from (excluded.value, excluded.revision);

-- name: remove_unit_values
-- Rows of ours of units that are gone, or that have the base's value again.
delete from {table} as there
where revision is not null and not exists (
    select from unnest(%(units)s::text[], %(keys)s::text[]) as own (unit, key)
    where own.unit = there.unit::text and own.key = there.key::text
);

-- name: read_unit_values
-- Our rows, to compare.
select unit, key, value, revision from {table} where revision is not null;
