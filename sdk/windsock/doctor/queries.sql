-- `windsock doctor`, each query by the name in its first line.

-- name: server
-- The server's version, this role, and the server's clock in seconds since 1970.
SELECT pg_catalog.current_setting('server_version'), current_user::text,
       extract(epoch FROM pg_catalog.clock_timestamp())::float8;

-- name: sees_mirrors
-- Whether this role may read what mirrors report; older schemas don't have the table.
SELECT coalesce(pg_catalog.has_table_privilege(pg_catalog.to_regclass('windsock.mirrors'), 'select'), false);

-- name: mirrors
-- What each group of mirrors last reported: how old its word is and its documents are, in seconds, and what is wrong.
SELECT group_name, extract(epoch FROM pg_catalog.now() - reported_at)::float8,
       extract(epoch FROM pg_catalog.now() - right_at)::float8, trouble
FROM windsock.mirrors
ORDER BY group_name;
