-- The users of an exposure table, by the name in the query's first line.

-- name: exposed
-- Every user who used settings, once for each environment; in an order that two plans share.
select distinct user_id, environment
from public.usage_logs
where user_id is not null
order by user_id, environment;
