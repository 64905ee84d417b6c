-- name: keep_snapshot
-- What a decision was made from.
insert into windsock.analysis_snapshots
    (experiment, version, environment, taken_at, decision, declared, collected)
values (
    %(experiment)s, %(version)s, %(environment)s, %(taken_at)s, %(decision)s,
    %(declared)s::jsonb, %(collected)s::jsonb
);
