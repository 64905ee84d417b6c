-- Every function once more, with names that a caller can't redirect to their own temporary schema, and for the parts that
-- call it only: PUBLIC may execute a new function, and on Supabase so may anon and authenticated. The trigger runs with
-- the rights of whoever writes an ad, so it has none to lose; the learner may queue jobs anyway.

create or replace function public.json_to_double(number pg_catalog.jsonb) returns double precision
language plpgsql immutable set search_path = pg_catalog, pg_temp
as $$
begin
    if pg_catalog.jsonb_typeof(number) = 'number' then
        return number::double precision;
    end if;
    return null;
exception
    when numeric_value_out_of_range then
        return null;
end
$$;

create or replace function public.get_winner_threshold(threshold_name pg_catalog.text) returns numeric
language sql stable set search_path = pg_catalog, pg_temp
as $$
    select case pg_catalog.jsonb_typeof(threshold)
        when 'number' then threshold::numeric
        when 'boolean' then threshold::boolean::int::numeric
    end
    from (
        select value -> threshold_name as threshold from public.learning_config where key = 'winner_detection'
    ) as config
$$;

create or replace function public.is_feature_enabled(feature_name pg_catalog.text) returns boolean
language sql stable set search_path = pg_catalog, pg_temp
as $$
    select coalesce(
        (
            select value -> feature_name = 'true'::pg_catalog.jsonb
            from public.learning_config where key = 'feature_flags'
        ),
        false
    )
$$;

create or replace function public.is_winner(
    ctr double precision, roas double precision, hours_live integer, impressions bigint
) returns boolean
language sql stable set search_path = pg_catalog, pg_temp
as $$
    select coalesce(
        public.is_feature_enabled('rag_auto_indexing')
        and hours_live >= public.get_winner_threshold('min_hours_live')
        and impressions >= public.get_winner_threshold('min_impressions')
        and case public.get_winner_threshold('require_both')
            when 1 then reached.by_ctr and reached.by_roas
            else reached.by_ctr or reached.by_roas
        end,
        false
    )
    from (
        select
            coalesce(
                ctr <> 'NaN' and ctr > public.get_winner_threshold('ctr_threshold')::double precision, false
            ) as by_ctr,
            coalesce(
                roas <> 'NaN' and roas > public.get_winner_threshold('roas_threshold')::double precision, false
            ) as by_roas
    ) as reached
$$;

create or replace function public.check_winner_and_index() returns pg_catalog.trigger
language plpgsql security invoker set search_path = pg_catalog, pg_temp
as $$
declare
    v_roas double precision := public.json_to_double(new.raw_data -> 'roas');
    v_hours_live integer := pg_catalog.floor(extract(epoch from pg_catalog.now() - new.created_at) / 3600);
begin
    if public.is_winner(new.ctr, v_roas, v_hours_live, new.impressions) then
        insert into public.pending_jobs (job_type, payload)
        values (
            'rag_index_winner',
            pg_catalog.jsonb_build_object(
                'ad_id', new.ad_id, 'video_id', new.video_id, 'ctr', new.ctr, 'roas', v_roas,
                'impressions', new.impressions
            )
        )
        on conflict do nothing;
    end if;
    return null;
end
$$;

-- Supabase's advisor wants extensions out of `public`.
do $$
begin
    if pg_catalog.to_regnamespace('extensions') is not null and exists (
        select from pg_catalog.pg_extension
        where extname = 'vector' and extnamespace = 'public'::pg_catalog.regnamespace
    ) then
        alter extension vector set schema extensions;
    end if;
end
$$;

-- likeness() as it was, where the extension is now. With plain arrays it needs no change but the path.
do $$
declare
    vector_schema pg_catalog.text := (
        select nspname
        from pg_catalog.pg_extension
        join pg_catalog.pg_namespace on pg_namespace.oid = extnamespace
        where extname = 'vector'
    );
begin
    if vector_schema is null then
        alter function public.likeness(double precision[], double precision[])
            set search_path = pg_catalog, pg_temp;
    else
        execute pg_catalog.format($create$
            create or replace function public.likeness(place %1$I.vector, other double precision[])
            returns double precision language sql immutable set search_path = pg_catalog, pg_temp as $body$
                select nullif(1 - (place operator(%1$I.<=>) other::%1$I.vector), 'NaN')
            $body$
        $create$, vector_schema);
    end if;
end
$$;

create or replace function public.nearest_winners(
    place double precision[], by_model pg_catalog.text, how_many integer
) returns table (ad_id pg_catalog.text, likeness double precision)
language plpgsql stable set search_path = pg_catalog, pg_temp
as $$
begin
    return query
    select near.ad_id, near.likeness
    from (
        select winner.ad_id, public.likeness(winner.embedding, place) as likeness
        from public.winner_index as winner
        where winner.model = by_model and winner.dimension = pg_catalog.cardinality(place)
    ) as near
    order by near.likeness desc nulls last, near.ad_id
    limit how_many;
end
$$;

revoke all on function public.json_to_double(pg_catalog.jsonb) from public;
revoke all on function public.get_winner_threshold(pg_catalog.text) from public;
revoke all on function public.is_feature_enabled(pg_catalog.text) from public;
revoke all on function public.is_winner(double precision, double precision, integer, bigint) from public;
revoke all on function public.check_winner_and_index() from public;
revoke all on function public.nearest_winners(double precision[], pg_catalog.text, integer) from public;

do $$
declare
    function pg_catalog.regprocedure;
    role_name pg_catalog.text;
begin
    for function in
        select oid from pg_catalog.pg_proc
        where pronamespace = 'public'::pg_catalog.regnamespace
            and proname in (
                'json_to_double', 'get_winner_threshold', 'is_feature_enabled', 'is_winner',
                'check_winner_and_index', 'likeness', 'nearest_winners'
            )
    loop
        execute pg_catalog.format('revoke all on function %s from public', function);
        for role_name in
            select rolname from pg_catalog.pg_roles where rolname in ('anon', 'authenticated', 'service_role')
        loop
            execute pg_catalog.format('revoke all on function %s from %I', function, role_name);
        end loop;
    end loop;
    if exists (select from pg_catalog.pg_roles where rolname = 'ad_learning_celery') then
        grant execute on function public.json_to_double(pg_catalog.jsonb)
            to ad_learning_api, ad_learning_learner, ad_learning_indexer, ad_learning_executor;
        grant execute on function
            public.get_winner_threshold(pg_catalog.text), public.is_feature_enabled(pg_catalog.text),
            public.is_winner(double precision, double precision, integer, bigint) to ad_learning_learner;
        grant execute on function public.nearest_winners(double precision[], pg_catalog.text, integer)
            to ad_learning_api, ad_learning_learner;
        for function in
            select oid from pg_catalog.pg_proc
            where pronamespace = 'public'::pg_catalog.regnamespace and proname = 'likeness'
        loop
            execute pg_catalog.format(
                'grant execute on function %s to ad_learning_api, ad_learning_learner', function
            );
        end loop;
    end if;
end
$$;
