-- A winner by the rule that holds at every look, beside the document's: `winner_detection.always_valid`. An ad is looked
-- at with each update, and one just below a threshold is above it now and then; with the mode on, its clicks must show it.

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
        end
        and case public.get_winner_threshold('always_valid') when 1 then reached.shown else true end,
        false
    )
    from (
        select
            coalesce(
                ctr <> 'NaN' and ctr > public.get_winner_threshold('ctr_threshold')::double precision, false
            ) as by_ctr,
            coalesce(
                roas <> 'NaN' and roas > public.get_winner_threshold('roas_threshold')::double precision, false
            ) as by_roas,
            -- windsock.experiments.statistics.e_processes.rate_evidence, and 20 is 95 % confidence over all looks
            coalesce(
                ctr between 0 and 1 and (
                    select pg_catalog.sum(pg_catalog.exp(greatest(-700, least(700,
                        pg_catalog.round(ctr * impressions) * pg_catalog.ln(odds)
                        - impressions * pg_catalog.ln(
                            1 + public.get_winner_threshold('ctr_threshold')::double precision * (odds - 1)
                        )
                    ))))
                    from pg_catalog.unnest(array[1.1, 1.25, 1.5, 2, 3]::double precision[]) as odds
                ) / 5 >= 20,
                false
            ) as shown
    ) as reached
$$;
-- The roles that may execute it keep that right.
revoke all on function public.is_winner(double precision, double precision, integer, bigint) from public;
