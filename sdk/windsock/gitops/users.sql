-- The users of an exposure table, by the name in the query's first line.

-- name: exposed
-- Every user who used settings, once for each environment; in an order that two plans share.
select distinct user_id, environment
from public.usage_logs
where user_id is not null
order by user_id, environment;

-- name: alike
-- How many of them each environment has, with the first few.
select environment, pg_catalog.count(*),
       (select pg_catalog.array_agg(first.user_id)
        from (select distinct user_id from public.usage_logs
              where user_id is not null and environment is not distinct from every.environment
              order by user_id limit %(samples)s) as first)
from (select distinct user_id, environment from public.usage_logs where user_id is not null) as every
group by environment
order by environment;
