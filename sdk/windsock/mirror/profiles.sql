-- `windsock profile`, each query by the name in its first line.

-- name: list
-- Every profile, how many users have it, and the fields that it sets.
SELECT c.name, coalesce(c.is_active, true),
       (SELECT pg_catalog.count(*) FROM public.profiles p WHERE p.config_id = c.id),
       ARRAY(SELECT pg_catalog.jsonb_object_keys(c.settings) ORDER BY 1)
FROM public.app_configurations c
ORDER BY c.name;

-- name: row
-- One profile, locked, so that what was planned is what is changed.
SELECT id, name, description, settings, coalesce(is_active, true)
FROM public.app_configurations
WHERE name = %s
FOR UPDATE;

-- name: users
-- How many users have a profile.
SELECT pg_catalog.count(*) FROM public.profiles WHERE config_id = %s;

-- name: save
-- A new profile, or another content of one.
INSERT INTO public.app_configurations (name, description, settings, is_active)
VALUES (%(name)s, %(description)s, %(settings)s, %(active)s)
ON CONFLICT (name) DO UPDATE
SET description = excluded.description, settings = excluded.settings, is_active = excluded.is_active,
    updated_at = pg_catalog.now();

-- name: remove
-- Takes back a profile that was created; its users are unassigned.
DELETE FROM public.app_configurations WHERE name = %s;

-- name: id_of
-- The active profile of this name; without a lock, because who assigns may not write profiles.
SELECT id FROM public.app_configurations WHERE name = %s AND coalesce(is_active, true);

-- name: kept
-- Those of some profiles that exist.
SELECT id FROM public.app_configurations WHERE id::text = ANY(%s);

-- name: active
-- The names of all active profiles.
SELECT name FROM public.app_configurations WHERE coalesce(is_active, true) ORDER BY name;

-- name: assigned
-- What these users have, locked, in the order of their ids: two commands at once don't wait for each other. The
-- array is untyped text, so that it has the type of `id` and the primary key finds the rows.
SELECT id::text, config_id::text FROM public.profiles WHERE id = ANY(%s) ORDER BY id FOR NO KEY UPDATE;

-- name: add
-- Rows for users who have none.
INSERT INTO public.profiles (id) SELECT pg_catalog.unnest(%s::uuid[]) ON CONFLICT (id) DO NOTHING;

-- name: assign
-- Each user's configuration; null unassigns. The array of the same users lets the primary key find the rows.
UPDATE public.profiles p
SET config_id = given.value::uuid
FROM pg_catalog.jsonb_each_text(%s) AS given
WHERE p.id = ANY(%s) AND p.id::text = given.key AND p.config_id IS DISTINCT FROM given.value::uuid;

-- name: note
-- One change in the audit.
INSERT INTO windsock.profile_changes (action, profile, before, after, actor)
VALUES (%s, %s, %s, %s, coalesce(%s::text, session_user::text))
RETURNING id;

-- name: noted
-- The newest changes of a profile, or of all. One that takes it from users names no profile: it has the profile's id.
SELECT id, changed_at, actor, action, profile, before, after, undone_by
FROM windsock.profile_changes
WHERE %(profile)s::text IS NULL OR profile = %(profile)s::text
    OR profile IS NULL AND EXISTS (
        SELECT FROM public.app_configurations c
        WHERE c.name = %(profile)s::text AND pg_catalog.jsonb_path_exists(
            pg_catalog.jsonb_build_array(before, after), '$[*].* ? (@ == $id)', pg_catalog.jsonb_build_object('id', c.id)
        )
    )
ORDER BY id DESC
LIMIT %(limit)s;

-- name: change
-- One change, to be undone.
SELECT action, profile, before, after, undone_by FROM windsock.profile_changes WHERE id = %s;

-- name: undone
UPDATE windsock.profile_changes SET undone_by = %s WHERE id = %s;
