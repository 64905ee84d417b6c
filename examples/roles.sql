-- psql: what docker-compose.yml's services log in as, each with the least that it needs. Applied by the database's
-- owner at each start; the variable SERVICES_PASSWORD is the password of all of them.
\getenv password SERVICES_PASSWORD

\ir ai_teacher/db/wallets.sql
\ir ai_teacher/db/role.sql

select pg_catalog.format('alter role %I login password %L', rolname, :'password')
from pg_catalog.pg_roles
where rolname in ('windsock_mirror', 'windsock_writer', 'windsock_console', 'ai_teacher') or rolname like 'ad\_learning\_%'
\gexec
