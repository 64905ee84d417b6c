-- The rules of Supabase's database advisor (the lints of supabase/splinter) that are errors or warnings, in our words.
-- Each row is a finding: the object. `public` is the schema that PostgREST publishes.

-- name: 0002_auth_users_exposed
select distinct c.oid::regclass::text
from pg_depend d
join pg_rewrite r on r.oid = d.objid
join pg_class c on c.oid = r.ev_class
where d.refobjid = to_regclass('auth.users') and d.deptype = 'n' and c.relnamespace = 'public'::regnamespace
    and (has_table_privilege('anon', c.oid, 'select') or has_table_privilege('authenticated', c.oid, 'select'));

-- name: 0003_auth_rls_initplan
select tablename || ': ' || policyname from pg_policies
where schemaname not in ('auth', 'storage') and
    coalesce(qual, '') || coalesce(with_check, '') ~* '(auth\.(uid|jwt|role|email)|current_setting)\('
    and coalesce(qual, '') || coalesce(with_check, '') !~* 'select (auth\.(uid|jwt|role|email)|current_setting)\(';

-- name: 0006_multiple_permissive_policies
select p.polrelid::regclass || ': ' || r.rolname || ' ' || action
from pg_policy p
join pg_roles r on r.oid = any (p.polroles) or p.polroles = array[0::oid]
cross join lateral unnest(case p.polcmd when '*' then array['r', 'a', 'w', 'd'] else array[p.polcmd::text] end) action
where p.polpermissive and not r.rolbypassrls and r.rolname !~ '^(pg_|supabase.*admin)'
group by p.polrelid, r.rolname, action
having count(*) > 1;

-- name: 0007_policy_exists_rls_disabled
select distinct c.oid::regclass::text from pg_policy join pg_class c on c.oid = polrelid where not c.relrowsecurity;

-- name: 0009_duplicate_index
select schemaname || '.' || tablename from pg_indexes
where schemaname not in ('auth', 'pg_catalog', 'extensions', 'storage', 'supabase_migrations')
group by schemaname, tablename, replace(indexdef, indexname, '')
having count(*) > 1;

-- name: 0010_security_definer_view
select c.oid::regclass::text from pg_class c
where relkind = 'v' and relnamespace = 'public'::regnamespace
    and (has_table_privilege('anon', c.oid, 'select') or has_table_privilege('authenticated', c.oid, 'select'))
    and not coalesce(reloptions::text ~* 'security_invoker=(1|true|yes|on)', false);

-- name: 0011_function_search_path_mutable
select p.oid::regprocedure::text from pg_proc p join pg_namespace n on n.oid = p.pronamespace
where nspname not in ('pg_catalog', 'information_schema', 'auth', 'extensions', 'storage')
    and not exists (select from pg_depend d where d.objid = p.oid and d.deptype = 'e')
    and not exists (select from unnest(proconfig) setting where setting like 'search_path=%');

-- name: 0013_rls_disabled_in_public
select c.oid::regclass::text from pg_class c
where relkind = 'r' and relnamespace = 'public'::regnamespace and not relrowsecurity;

-- name: 0014_extension_in_public
select extname::text from pg_extension where extnamespace = 'public'::regnamespace and extname <> 'plpgsql';

-- name: 0015_rls_references_user_metadata
select tablename || ': ' || policyname from pg_policies
where coalesce(qual, '') || coalesce(with_check, '') ~ '(auth\.jwt\(\)|request\.jwt\.claims).*user_metadata';

-- name: 0016_and_0017_relations_without_row_security_in_api
select c.oid::regclass::text from pg_class c
where relkind in ('m', 'f') and relnamespace = 'public'::regnamespace
    and (has_table_privilege('anon', c.oid, 'select') or has_table_privilege('authenticated', c.oid, 'select'));

-- name: 0018_unsupported_reg_types
select c.oid::regclass || '.' || attname
from pg_attribute join pg_class c on c.oid = attrelid join pg_namespace n on n.oid = relnamespace
where nspname not in ('pg_catalog', 'information_schema') and relkind in ('r', 'p') and attnum > 0
    and atttypid = any ('{regcollation,regconfig,regdictionary,regnamespace,regoper,regoperator,regproc,regprocedure}'::regtype[]);

-- name: 0021_fkey_to_auth_unique
select c.conname::text from pg_constraint c join pg_index i on i.indexrelid = c.conindid
join pg_class r on r.oid = c.confrelid
where c.contype = 'f' and r.relnamespace = to_regnamespace('auth') and not i.indisprimary;

-- name: 0022_extension_versions_outdated
select name::text from pg_available_extensions where installed_version <> default_version;

-- name: 0023_sensitive_columns_exposed
select c.oid::regclass || '.' || attname from pg_attribute join pg_class c on c.oid = attrelid
where relnamespace = 'public'::regnamespace and relkind = 'r' and not relrowsecurity and attnum > 0
    and attname ~* '^(password|passwd|pwd|secret|token|jwt|api_?key|private_key|access_token|refresh_token|ssn|iban)$';

-- name: 0024_rls_policy_always_true
select tablename || ': ' || policyname from pg_policies
where permissive = 'PERMISSIVE' and roles && '{public,anon,authenticated}'::name[]
    and (
        cmd <> 'SELECT' and regexp_replace(lower(with_check), '[\s()]', '', 'g') in ('true', '1=1')
        or cmd in ('UPDATE', 'DELETE', 'ALL') and coalesce(regexp_replace(lower(qual), '[\s()]', '', 'g'), 'true') in ('true', '1=1')
    );

-- name: 0026_and_0027_table_exposed
select distinct c.oid::regclass::text from pg_class c join pg_attribute a on a.attrelid = c.oid
where relkind in ('r', 'v', 'm', 'f') and attnum > 0 and not attisdropped
    and relnamespace in (select oid from pg_namespace where nspname not in ('pg_catalog', 'information_schema', 'auth'))
    and (
        has_column_privilege('anon', c.oid, attnum, 'select')
        or has_column_privilege('authenticated', c.oid, attnum, 'select')
    );

-- name: 0028_and_0029_security_definer_function_executable
select p.oid::regprocedure::text from pg_proc p
where prosecdef and pronamespace in ('public'::regnamespace, to_regnamespace('windsock'))
    and (has_function_privilege('anon', p.oid, 'execute') or has_function_privilege('authenticated', p.oid, 'execute'));
