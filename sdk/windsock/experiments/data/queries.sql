-- name: keep_snapshot
-- What a decision was made from.
insert into windsock.analysis_snapshots
    (experiment, version, environment, taken_at, decision, declared, collected)
values (
    %(experiment)s, %(version)s, %(environment)s, %(taken_at)s, %(decision)s,
    %(declared)s::jsonb, %(collected)s::jsonb
);

-- name: known_tables
-- Tables and views outside PostgreSQL's own schemas, to say which one a misspelt name may mean.
select namespace.nspname::text || '.' || relation.relname::text
from pg_catalog.pg_class as relation
join pg_catalog.pg_namespace as namespace on namespace.oid = relation.relnamespace
where relation.relkind in ('r', 'p', 'v', 'm', 'f')
  and namespace.nspname not in ('pg_catalog', 'information_schema', 'pg_toast')
  and namespace.nspname::text not like 'pg\_temp\_%%'
order by 1
limit 10000;

-- name: refused_tables
-- The named tables that this role may not read, whether it may use their schemas, and the role.
-- Names are as the query writes them, with or without a schema.
select
    pg_catalog.quote_ident(namespace.nspname), pg_catalog.quote_ident(relation.relname),
    pg_catalog.has_schema_privilege(namespace.oid, 'usage'), pg_catalog.quote_ident(current_user)
from pg_catalog.pg_class as relation
join pg_catalog.pg_namespace as namespace on namespace.oid = relation.relnamespace
where relation.relkind in ('r', 'p', 'v', 'm', 'f')
  and (
      namespace.nspname::text || '.' || relation.relname::text = any(%(names)s)
      or relation.relname::text = any(%(names)s) and pg_catalog.pg_table_is_visible(relation.oid)
  )
  and not (
      pg_catalog.has_schema_privilege(namespace.oid, 'usage')
      and pg_catalog.has_table_privilege(relation.oid, 'select')
  )
order by 1, 2;
