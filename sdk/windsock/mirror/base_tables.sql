-- name: base_table_columns
-- The columns of a table that base values are written into, and which of them is unique by itself.
select attname::text, format_type(atttypid, null),
       exists (select from pg_catalog.pg_index
               where indrelid = attrelid and indisunique and indpred is null and indnkeyatts = 1
                   and indkey[0] = attnum)
from pg_catalog.pg_attribute
where attrelid = to_regclass(format('%%I.%%I', %(schema)s::text, %(name)s::text)) and attnum > 0
    and not attisdropped;

-- name: write_base_values
-- The base values of a flag, one row for each of its fields; an unchanged row keeps its time.
insert into {table} as there (key, value, revision, updated_at)
select key, value::jsonb, %(revision)s, now()
from unnest(%(keys)s::text[], %(values)s::text[]) as base (key, value)
on conflict (key) do update
set value = excluded.value, revision = excluded.revision, updated_at = excluded.updated_at
where (there.value, there.revision) is distinct from (excluded.value, excluded.revision);

-- name: remove_base_values
-- Rows of ours that the flag does not have any more; a row without a revision is somebody else's.
delete from {table}
where revision is not null and key <> all(%(keys)s::text[]);

-- name: read_base_values
-- Our rows, to compare.
select key, value, revision from {table} where revision is not null;
