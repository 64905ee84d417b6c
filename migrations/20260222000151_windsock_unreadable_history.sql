-- The rows that `windsock_readable_history` would refuse, from before it. Of a change stays who made it, and when: no longer
-- than what the limits on size take, which may be younger than the row.
update windsock.profile_changes
set before = '{}', after = '{}', actor = pg_catalog.left(actor, 1000), profile = pg_catalog.left(profile, 1000),
    changed_at = least(greatest(changed_at, '1900-01-01 00:00+00'), '9000-01-01 00:00+00')
where not (
    changed_at between '1900-01-01 00:00+00' and '9000-01-01 00:00+00'
    and pg_catalog.jsonb_typeof(before) = 'object'
    and coalesce(pg_catalog.jsonb_typeof(before -> 'settings'), 'null') in ('object', 'null')
    and pg_catalog.jsonb_typeof(after) = 'object'
    and coalesce(pg_catalog.jsonb_typeof(after -> 'settings'), 'null') in ('object', 'null')
    and not pg_catalog.jsonb_path_exists(before, 'strict $.**{301}')
    and not pg_catalog.jsonb_path_exists(
        before, 'strict $.**{0 to 301} ? (@.type() == "number" && (@ > 1e4000 || @ < -1e4000))'
    )
    and not pg_catalog.jsonb_path_exists(after, 'strict $.**{301}')
    and not pg_catalog.jsonb_path_exists(
        after, 'strict $.**{0 to 301} ? (@.type() == "number" && (@ > 1e4000 || @ < -1e4000))'
    )
);
update windsock.configuration_audit
set changed = '{}', actor = pg_catalog.left(actor, 125), flag = pg_catalog.left(flag, 125),
    file = pg_catalog.left(file, 1000), revision_before = pg_catalog.left(revision_before, 50),
    revision_after = pg_catalog.left(revision_after, 50),
    request = case when pg_catalog.octet_length(request::pg_catalog.text) <= 2000000 then request else '{}' end,
    requested_at = least(greatest(requested_at, '1900-01-01 00:00+00'), '9000-01-01 00:00+00'),
    written_at = case
        when written_at is not null then least(greatest(written_at, '1900-01-01 00:00+00'), '9000-01-01 00:00+00')
    end
where not (
    requested_at between '1900-01-01 00:00+00' and '9000-01-01 00:00+00'
    and coalesce(written_at between '1900-01-01 00:00+00' and '9000-01-01 00:00+00', true)
    and pg_catalog.jsonb_typeof(changed) = 'object'
    and not coalesce(pg_catalog.jsonb_path_exists(
        changed,
        'strict $.keyvalue() ? (@.value.type() != "array" || @.value.size() != 2 || @.key != "" && !(@.key starts with "/"))',
        '{}', true
    ), false)
    and not pg_catalog.jsonb_path_exists(changed, 'strict $.**{301}')
    and not pg_catalog.jsonb_path_exists(
        changed, 'strict $.**{0 to 301} ? (@.type() == "number" && (@ > 1e4000 || @ < -1e4000))'
    )
);
-- No command makes such an assignment. Each exposure of its unit was refused, and so would its undoing be.
delete from windsock.experiment_assignments where not (allocation > '-infinity' and allocation < 'infinity');
