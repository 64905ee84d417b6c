-- `windsock experiment assign`, each query by the name in its first line. It runs as windsock_assigner.

-- name: profiles
-- The active profiles of these names and the fields that they set; settings nest by flag where several classes share them.
SELECT name, id, ARRAY(SELECT pg_catalog.jsonb_object_keys(
    CASE pg_catalog.jsonb_typeof(settings -> %(flag)s::text)
        WHEN 'object' THEN settings -> %(flag)s::text ELSE settings END))
FROM public.app_configurations
WHERE name = ANY(%(names)s) AND coalesce(is_active, true);

-- name: columns
-- The columns of profiles, and whether this role may read each: an audience reads them.
SELECT attname::text, pg_catalog.has_column_privilege('public.profiles', attnum, 'select')
FROM pg_catalog.pg_attribute
WHERE attrelid = 'public.profiles'::regclass::oid AND attnum > 0 AND NOT attisdropped;

-- name: page
-- The next users who have no profile, with the columns that the audience reads, as one JSON object. Who is locked is being
-- assigned by somebody else, and the next run sees why.
SELECT id::text, {attributes}
FROM public.profiles
WHERE config_id IS NULL AND (%(after)s::uuid IS NULL OR id > %(after)s::uuid)
ORDER BY id
LIMIT %(size)s
FOR NO KEY UPDATE SKIP LOCKED;

-- name: enrol
-- Records who gets which arm and assigns it, in one statement. Whoever was enrolled before is left as they are, unless
-- that was undone.
WITH enrolled AS (
    INSERT INTO windsock.experiment_assignments (
        experiment, version, unit, arm, flag, fields, allocation, key_fingerprint, profile_id, config_id)
    SELECT %(experiment)s, %(version)s, given.unit, given.arm, %(flag)s, %(fields)s, given.allocation,
           %(key_fingerprint)s, given.profile_id::uuid, given.config_id::uuid
    FROM pg_catalog.jsonb_to_recordset(%(given)s)
        AS given(unit text, arm text, allocation real, profile_id text, config_id text)
    ON CONFLICT (experiment, version, unit) DO UPDATE SET undone_at = NULL
    WHERE windsock.experiment_assignments.undone_at IS NOT NULL
    RETURNING arm, profile_id, config_id
), assigned AS (
    UPDATE public.profiles p
    SET config_id = enrolled.config_id
    FROM enrolled
    WHERE p.id = enrolled.profile_id AND p.config_id IS NULL
    RETURNING enrolled.arm
)
SELECT arm, pg_catalog.count(*) FROM assigned GROUP BY arm;

-- name: undo
-- Takes the profile from whoever still has what the experiment gave them. `IS NOT DISTINCT FROM` uses no index: each user
-- is found by their id, where an index on config_id would give all users of the profile.
WITH page AS (
    SELECT unit, profile_id, config_id
    FROM windsock.experiment_assignments
    WHERE experiment = %(experiment)s AND version = %(version)s AND undone_at IS NULL
    ORDER BY unit
    LIMIT %(size)s
), freed AS (
    UPDATE public.profiles p
    SET config_id = NULL
    FROM page
    WHERE p.id = page.profile_id AND p.config_id IS NOT DISTINCT FROM page.config_id
    RETURNING p.id
), ended AS (
    UPDATE windsock.experiment_assignments a
    SET undone_at = pg_catalog.now()
    FROM page
    WHERE a.experiment = %(experiment)s AND a.version = %(version)s AND a.unit = page.unit
    RETURNING a.unit
)
SELECT (SELECT pg_catalog.count(*) FROM freed), (SELECT pg_catalog.count(*) FROM ended);

-- name: still_assigned
-- From how many users `undo` would take the profile.
SELECT pg_catalog.count(*)
FROM windsock.experiment_assignments a
JOIN public.profiles p ON p.id = a.profile_id AND p.config_id = a.config_id
WHERE a.experiment = %(experiment)s AND a.version = %(version)s AND a.undone_at IS NULL;
