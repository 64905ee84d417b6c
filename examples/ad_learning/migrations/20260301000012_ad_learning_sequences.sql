-- On Supabase, new sequences in `public` are granted to anon and authenticated, as tables are: whoever has SQL access could
-- set them back, and the next inserts of the service would fail.
do $$
declare
    sequence_name pg_catalog.text;
    role_name pg_catalog.text;
begin
    foreach sequence_name in array array[
        'executor_actions_id_seq', 'pending_jobs_id_seq', 'platform_reports_id_seq', 'predictions_id_seq'
    ] loop
        for role_name in
            select rolname from pg_catalog.pg_roles where rolname in ('anon', 'authenticated')
        loop
            execute pg_catalog.format('revoke all on sequence public.%I from %I', sequence_name, role_name);
        end loop;
    end loop;
end
$$;
