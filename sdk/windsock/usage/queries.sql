-- The usage sink's statements, each by the name in its first line. They share one transaction per batch.

-- name: limits
-- Bounds a batch's wait on a lock or a slow disk, and how long this process holds its own locks when it is frozen.
-- Local to the transaction, so that it works through a transaction pooler.
SELECT pg_catalog.set_config('statement_timeout', '30s', true),
       pg_catalog.set_config('idle_in_transaction_session_timeout', '30s', true);

-- name: stage
-- An empty table of the columns that a record fills, gone at commit: COPY itself knows no ON CONFLICT. With types of its
-- own, since the role of a service may not read public.usage_logs.
CREATE TEMPORARY TABLE windsock_usage (
    id uuid, requested_at timestamptz, user_id text, request_id text, environment text, flag text, variant text,
    config_id uuid, revision text, reason text, "values" jsonb, healed jsonb, latency_ms double precision,
    input_tokens bigint, output_tokens bigint, cost numeric, trace_id text, experiment text, arm text, status text,
    error_class text, answered_model text, first_item_ms double precision
) ON COMMIT DROP;

-- name: copy
-- The batch, in one round trip. The columns are in the order of the stage query.
COPY pg_temp.windsock_usage FROM STDIN;

-- name: insert
-- A record that is there already (a replay, an answer that came too late) is left as it is.
INSERT INTO public.usage_logs (
    id, requested_at, user_id, request_id, environment, flag, variant, config_id, revision, reason,
    "values", healed, latency_ms, input_tokens, output_tokens, cost, trace_id,
    experiment, arm, status, error_class, answered_model, first_item_ms)
SELECT id, requested_at, user_id, request_id, environment, flag, variant, config_id, revision, reason,
       "values", healed, latency_ms, input_tokens, output_tokens, cost, trace_id,
       experiment, arm, status, error_class, answered_model, first_item_ms
FROM pg_temp.windsock_usage
ON CONFLICT (id) DO NOTHING;

-- name: latest
-- The newest rows, optionally of one user (each form of the id), profile or flag, since a moment, or only healed ones.
SELECT id, requested_at, user_id, request_id, environment, flag, variant, config_id, revision, reason,
       "values"::text, healed::text, latency_ms, input_tokens, output_tokens, cost, trace_id,
       experiment, arm, status, error_class, answered_model, first_item_ms
FROM public.usage_logs
WHERE (%(users)s::text[] IS NULL OR user_id = ANY(%(users)s::text[]))
  AND (%(config)s::uuid IS NULL OR config_id = %(config)s::uuid)
  AND (NOT %(healed)s::boolean OR healed <> '[]'::jsonb)
  AND (%(flag)s::text IS NULL OR flag = %(flag)s::text)
  AND (%(since)s::timestamptz IS NULL OR requested_at >= %(since)s::timestamptz)
ORDER BY requested_at DESC, id
LIMIT %(limit)s;

-- name: profile_names
-- The names of profiles, by id.
SELECT id::text, name FROM public.app_configurations WHERE %(ids)s::text[] IS NULL OR id::text = ANY(%(ids)s::text[]);

-- name: shape
-- The columns of the table that is there, its type, whether a row must give it a value, and whether it is unique by
-- itself: to say what differs when rows are refused.
SELECT attname::text, pg_catalog.format_type(atttypid, NULL),
       attnotnull AND NOT atthasdef AND attidentity = '' AND attgenerated = '',
       EXISTS (SELECT FROM pg_catalog.pg_index
               WHERE indrelid = attrelid AND indisunique AND indpred IS NULL AND indnkeyatts = 1
                 AND indkey[0] = attnum)
FROM pg_catalog.pg_attribute
WHERE attrelid = pg_catalog.to_regclass(%s)::oid AND attnum > 0 AND NOT attisdropped;

-- name: stage_exposures
-- As `stage`, for exposures.
CREATE TEMPORARY TABLE windsock_exposures (
    experiment text, version integer, environment text, unit text, arm text, first_exposed_at timestamptz,
    allocation real, flag text, revision text, reason text, key_fingerprint text, attributes jsonb, excluded text
) ON COMMIT DROP;

-- name: copy_exposures
COPY pg_temp.windsock_exposures FROM STDIN;

-- name: insert_exposures
-- The first exposure counts, in whatever order they arrive: a replay may come days late. Sorted, so that two writers
-- lock the rows that they share in the same order.
INSERT INTO windsock.exposures AS known (
    experiment, version, environment, unit, arm, first_exposed_at, allocation, flag, revision, reason,
    key_fingerprint, attributes, excluded)
SELECT DISTINCT ON (experiment, version, environment, unit, arm)
       experiment, version, environment, unit, arm, first_exposed_at, allocation, flag, revision, reason,
       key_fingerprint, attributes, excluded
FROM pg_temp.windsock_exposures
ORDER BY experiment, version, environment, unit, arm, first_exposed_at
ON CONFLICT (experiment, version, environment, unit, arm)
DO UPDATE SET first_exposed_at = least(known.first_exposed_at, excluded.first_exposed_at)
WHERE known.first_exposed_at > excluded.first_exposed_at;

-- name: expose_assigned
-- Where the arms are profiles, the database knows who was assigned which: a request that read a field of an arm exposes.
-- An arm of which a value is withdrawn isn't what it was: the version is contaminated.
INSERT INTO windsock.exposures AS known (
    experiment, version, environment, unit, arm, first_exposed_at, allocation, flag, revision, reason, key_fingerprint,
    excluded)
SELECT DISTINCT ON (a.experiment, a.version, u.environment, a.unit, a.arm)
       a.experiment, a.version, u.environment, a.unit, a.arm, u.requested_at, a.allocation, u.flag, u.revision,
       u.reason, a.key_fingerprint,
       (SELECT 'contaminated: ' || w.field || ' was withdrawn'
        FROM windsock.withdrawals w
        WHERE w.variant = a.config_id::text AND w.field = ANY(a.fields) AND w.lifted_at IS NULL
          AND u.requested_at BETWEEN w.withdrawn_at AND w.expires_at
        LIMIT 1)
FROM pg_temp.windsock_usage u
JOIN windsock.experiment_assignments a ON a.unit = u.user_id AND a.flag = u.flag
WHERE a.undone_at IS NULL AND u."values" ?| a.fields AND u.requested_at >= a.assigned_at
ORDER BY a.experiment, a.version, u.environment, a.unit, a.arm, u.requested_at
ON CONFLICT (experiment, version, environment, unit, arm)
DO UPDATE SET first_exposed_at = least(known.first_exposed_at, excluded.first_exposed_at)
WHERE known.first_exposed_at > excluded.first_exposed_at;

-- name: stage_events
-- As `stage`, for metric events.
CREATE TEMPORARY TABLE windsock_events (
    id uuid, name text, unit text, user_id text, value double precision, occurred_at timestamptz, environment text,
    request_id text, attributes jsonb
) ON COMMIT DROP;

-- name: copy_events
COPY pg_temp.windsock_events FROM STDIN;

-- name: insert_events
-- An event that is there already is left as it is.
INSERT INTO windsock.metric_events (
    id, name, unit, user_id, value, occurred_at, environment, request_id, attributes)
SELECT id, name, unit, user_id, value, occurred_at, environment, request_id, attributes
FROM pg_temp.windsock_events
ON CONFLICT (id) DO NOTHING;
