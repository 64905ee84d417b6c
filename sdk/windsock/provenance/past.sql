-- What the database remembers of the past, each query by the name in its first line.

-- name: assignments
-- Every assignment of these users, oldest first.
select user_id, changed_at, config_id::text
from windsock.assignment_history
where user_id = any(%(users)s::text[])
order by changed_at, id;

-- name: configurations
-- Every state of these configurations, oldest first; settings are null where it was deleted or not active.
select config_id::text, changed_at, case when is_active then settings::text end
from windsock.configuration_history
where config_id = any(%(configs)s::uuid[])
order by changed_at, id;
