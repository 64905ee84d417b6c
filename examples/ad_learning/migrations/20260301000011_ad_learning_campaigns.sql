-- Campaigns, the units of rollouts and experiments: the mirror evaluates the flag `learning` for each of them and writes
-- what differs from the base into learning_config_units. The rule of a winner looks there first; it never hashes. The confidence of
-- `always_valid` is a threshold as the others are.

create table public.campaigns (
    id text primary key,
    account_id text  -- the ad account, for targeting to ask of; null until the first report says it
);
insert into public.campaigns (id) select distinct campaign_id from public.ads;

create function public.know_campaign() returns pg_catalog.trigger
language plpgsql security invoker set search_path = pg_catalog, pg_temp
as $$
begin
    insert into public.campaigns (id) values (new.campaign_id) on conflict do nothing;
    return null;
end
$$;

create trigger know_campaign after insert or update of campaign_id on public.ads
    for each row execute function public.know_campaign();

-- A threshold that the first row lacks, until the mirror writes it.
update public.learning_config set value = '{"confidence": 0.95}' || value where key = 'winner_detection';

-- The functions of the rule once more, with the campaign; without one they give the base's, as before.
drop function public.is_winner(double precision, double precision, integer, bigint);
drop function public.get_winner_threshold(pg_catalog.text);
drop function public.is_feature_enabled(pg_catalog.text);

create function public.learning_value(config_key pg_catalog.text, campaign pg_catalog.text)
returns pg_catalog.jsonb
language sql stable set search_path = pg_catalog, pg_temp
as $$
    select coalesce(
        (select value from public.learning_config_units where unit = campaign and key = config_key),
        (select value from public.learning_config where key = config_key)
    )
$$;

create function public.get_winner_threshold(
    threshold_name pg_catalog.text, campaign pg_catalog.text default null
) returns numeric
language sql stable set search_path = pg_catalog, pg_temp
as $$
    select case pg_catalog.jsonb_typeof(threshold)
        when 'number' then threshold::numeric
        when 'boolean' then threshold::boolean::int::numeric
    end
    from (select public.learning_value('winner_detection', campaign) -> threshold_name as threshold) as config
$$;

create function public.is_feature_enabled(
    feature_name pg_catalog.text, campaign pg_catalog.text default null
) returns boolean
language sql stable set search_path = pg_catalog, pg_temp
as $$
    select coalesce(
        public.learning_value('feature_flags', campaign) -> feature_name = 'true'::pg_catalog.jsonb, false
    )
$$;

create function public.is_winner(
    ctr double precision, roas double precision, hours_live integer, impressions bigint,
    campaign pg_catalog.text default null
) returns boolean
language sql stable set search_path = pg_catalog, pg_temp
as $$
    select coalesce(
        public.is_feature_enabled('rag_auto_indexing', campaign)
        and hours_live >= public.get_winner_threshold('min_hours_live', campaign)
        and impressions >= public.get_winner_threshold('min_impressions', campaign)
        and case public.get_winner_threshold('require_both', campaign)
            when 1 then reached.by_ctr and reached.by_roas
            else reached.by_ctr or reached.by_roas
        end
        and case public.get_winner_threshold('always_valid', campaign) when 1 then reached.shown else true end,
        false
    )
    from (
        select
            coalesce(ctr <> 'NaN' and ctr > threshold.of_ctr, false) as by_ctr,
            coalesce(roas <> 'NaN' and roas > threshold.of_roas, false) as by_roas,
            -- windsock.experiments.statistics.e_processes.rate_evidence
            coalesce(
                ctr between 0 and 1 and (
                    select pg_catalog.sum(pg_catalog.exp(greatest(-700, least(700,
                        pg_catalog.round(ctr * impressions) * pg_catalog.ln(odds)
                        - impressions * pg_catalog.ln(1 + threshold.of_ctr * (odds - 1))
                    ))))
                    from pg_catalog.unnest(array[1.1, 1.25, 1.5, 2, 3]::double precision[]) as odds
                ) / 5 * (1 - threshold.confidence) >= 1 - 1e-9,
                false
            ) as shown
        from (
            select
                public.get_winner_threshold('ctr_threshold', campaign)::double precision as of_ctr,
                public.get_winner_threshold('roas_threshold', campaign)::double precision as of_roas,
                public.get_winner_threshold('confidence', campaign)::double precision as confidence
        ) as threshold
    ) as reached
$$;

create or replace function public.check_winner_and_index() returns pg_catalog.trigger
language plpgsql security invoker set search_path = pg_catalog, pg_temp
as $$
declare
    v_roas double precision := public.json_to_double(new.raw_data -> 'roas');
    v_hours_live integer := pg_catalog.floor(extract(epoch from pg_catalog.now() - new.created_at) / 3600);
begin
    if public.is_winner(new.ctr, v_roas, v_hours_live, new.impressions, new.campaign_id) then
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

revoke all on function public.know_campaign() from public;
revoke all on function public.learning_value(pg_catalog.text, pg_catalog.text) from public;
revoke all on function public.get_winner_threshold(pg_catalog.text, pg_catalog.text) from public;
revoke all on function public.is_feature_enabled(pg_catalog.text, pg_catalog.text) from public;
revoke all on function public.is_winner(double precision, double precision, integer, bigint, pg_catalog.text) from public;
revoke all on function public.check_winner_and_index() from public;

alter table public.campaigns enable row level security;

do $$
declare
    function pg_catalog.regprocedure;
    role_name pg_catalog.text;
begin
    for role_name in select rolname from pg_catalog.pg_roles where rolname in ('anon', 'authenticated') loop
        execute pg_catalog.format('revoke all on public.campaigns from %I', role_name);
    end loop;
    for function in
        select oid from pg_catalog.pg_proc
        where pronamespace = 'public'::pg_catalog.regnamespace
            and proname in (
                'know_campaign', 'learning_value', 'get_winner_threshold', 'is_feature_enabled', 'is_winner'
            )
    loop
        for role_name in
            select rolname from pg_catalog.pg_roles where rolname in ('anon', 'authenticated', 'service_role')
        loop
            execute pg_catalog.format('revoke all on function %s from %I', function, role_name);
        end loop;
        if exists (select from pg_catalog.pg_roles where rolname = 'ad_learning_learner')
            and function <> 'public.know_campaign()'::pg_catalog.regprocedure
        then
            execute pg_catalog.format('grant execute on function %s to ad_learning_learner', function);
        end if;
    end loop;
    if exists (select from pg_catalog.pg_roles where rolname = 'ad_learning_learner') then
        grant select, update (account_id) on public.campaigns to ad_learning_learner;
        grant select on public.learning_config_units to ad_learning_learner;
        create policy ad_learning_parts on public.campaigns
            to ad_learning_learner using (true) with check (true);
        create policy ad_learning_learner_reads on public.learning_config_units
            for select to ad_learning_learner using (true);
    end if;
    if exists (select from pg_catalog.pg_roles where rolname = 'ad_learning_executor') then
        grant select on public.campaigns to ad_learning_executor;
        create policy ad_learning_executor_reads on public.campaigns
            for select to ad_learning_executor using (true);
    end if;
    if exists (select from pg_catalog.pg_roles where rolname = 'windsock_mirror') then
        grant usage on schema public to windsock_mirror;
        grant select on public.campaigns to windsock_mirror;
    end if;
    if exists (select from pg_catalog.pg_roles where rolname = 'windsock_mirror' and not rolbypassrls) then
        create policy windsock_mirror on public.campaigns for select to windsock_mirror using (true);
    end if;
end
$$;
