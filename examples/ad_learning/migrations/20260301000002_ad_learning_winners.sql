-- When an ad is a winner, for the database: the rule of winners.py, with thresholds from learning_config, which the
-- mirror keeps equal to the flag `learning`. What is missing or of the wrong type makes nothing a winner.

-- Until the mirror has written them for the first time.
insert into public.learning_config (key, value) values
(
    'winner_detection',
    '{"ctr_threshold": 0.03, "roas_threshold": 3.0, "require_both": false, "min_impressions": 1000,
      "min_hours_live": 24}'
),
('feature_flags', '{"rag_auto_indexing": true}')
on conflict (key) do nothing;

-- A number out of JSON, or null: for text, for what is missing, and for what a double cannot hold.
create function public.json_to_double(number jsonb) returns double precision
language plpgsql immutable set search_path = '' as $$
begin
    if jsonb_typeof(number) = 'number' then
        return number::double precision;
    end if;
    return null;
exception
    when numeric_value_out_of_range then
        return null;
end
$$;

-- A threshold by its name; a switch such as `require_both` is 1 or 0. Null where there is none: no comparison with it
-- is true.
create function public.get_winner_threshold(threshold_name text) returns numeric
language sql stable set search_path = '' as $$
    select case jsonb_typeof(threshold)
        when 'number' then threshold::numeric
        when 'boolean' then threshold::boolean::int::numeric
    end
    from (
        select value -> threshold_name as threshold from public.learning_config where key = 'winner_detection'
    ) as config
$$;

-- A feature by its name; an unknown one is off.
create function public.is_feature_enabled(feature_name text) returns boolean
language sql stable set search_path = '' as $$
    select coalesce(
        (select value -> feature_name = 'true'::jsonb from public.learning_config where key = 'feature_flags'), false
    )
$$;

-- Thresholds are exceeded, minimums are met. PostgreSQL holds NaN above every number; here it exceeds nothing.
create function public.is_winner(
    ctr double precision, roas double precision, hours_live integer, impressions bigint
) returns boolean
language sql stable set search_path = '' as $$
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

-- Queue a winner to be indexed, once per ad. After the write, so that it never stands in the way of one.
create function public.check_winner_and_index() returns trigger
language plpgsql security definer set search_path = '' as $$
declare
    v_roas double precision := public.json_to_double(new.raw_data -> 'roas');
    v_hours_live integer := floor(extract(epoch from now() - new.created_at) / 3600);
begin
    if public.is_winner(new.ctr, v_roas, v_hours_live, new.impressions) then
        insert into public.pending_jobs (job_type, payload)
        values (
            'rag_index_winner',
            jsonb_build_object(
                'ad_id', new.ad_id, 'video_id', new.video_id, 'ctr', new.ctr, 'roas', v_roas,
                'impressions', new.impressions
            )
        )
        on conflict do nothing;
    end if;
    return null;
end
$$;

create trigger check_winner_and_index after insert or update on public.ads
    for each row execute function public.check_winner_and_index();
