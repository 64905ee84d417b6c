-- name: eight_days_ago
-- Everybody asked eight days ago, so that their week is over now.
with exposed as (
    update windsock.exposures set first_exposed_at = first_exposed_at - interval '8 days'
), scored as (
    update windsock.metric_events set occurred_at = occurred_at - interval '8 days'
)
update public.usage_logs set requested_at = requested_at - interval '8 days';
