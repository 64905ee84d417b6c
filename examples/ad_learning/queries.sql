-- name: actuals_fetcher
-- Bring ads up to their latest report; each report is applied once.
with latest as (
    select distinct on (ad_id) ad_id, impressions, clicks, spend, revenue
    from platform_reports where applied_at is null
    order by ad_id, id desc
), applied as (
    update ads set
        impressions = latest.impressions,
        ctr = latest.clicks::double precision / nullif(latest.impressions, 0),
        raw_data = ads.raw_data || jsonb_build_object('roas', latest.revenue / nullif(latest.spend, 0)),
        updated_at = now()
    from latest where ads.ad_id = latest.ad_id
    returning ads.ad_id
)
update platform_reports set applied_at = now()
where applied_at is null and ad_id in (select ad_id from applied);

-- name: creative_dna
-- The click rate of each attribute, over the impressions of all ads that have it.
insert into creative_dna (attribute, ads, ctr)
select attribute, count(*), sum(ctr * impressions) / sum(impressions)
from ads, lateral jsonb_array_elements_text(
    case jsonb_typeof(raw_data -> 'attributes') when 'array' then raw_data -> 'attributes' else '[]' end
) as attribute
where ctr is not null and impressions > 0
group by attribute
on conflict (attribute) do update set ads = excluded.ads, ctr = excluded.ctr;

-- name: compound_learner
-- The mean return of each campaign, smoothed: each cycle weighs as much as the past of a campaign, at most four times less.
insert into campaign_learning as known (campaign_id, roas, cycles)
select campaign_id, avg(json_to_double(raw_data -> 'roas')), 1
from ads where json_to_double(raw_data -> 'roas') is not null
group by campaign_id
on conflict (campaign_id) do update set
    roas = known.roas + (excluded.roas - known.roas) / least(known.cycles + 1, 5),
    cycles = known.cycles + 1;

-- name: winner_detection
-- Ads that became winners by growing old enough: no write of theirs would tell the trigger.
insert into pending_jobs (job_type, payload)
select
    'rag_index_winner',
    jsonb_build_object(
        'ad_id', ad_id, 'video_id', video_id, 'ctr', ctr, 'roas', json_to_double(raw_data -> 'roas'),
        'impressions', impressions
    )
from ads
where is_winner(
    ctr, json_to_double(raw_data -> 'roas'), floor(extract(epoch from now() - created_at) / 3600)::int, impressions
)
on conflict do nothing;

-- name: take_index_jobs
-- Winners that wait for their index; nobody else takes them until this transaction ends.
select job.id, job.attempts, ads.ad_id, ads.campaign_id, ads.video_id, ads.raw_data -> 'attributes'
from pending_jobs as job left join ads on ads.ad_id = job.payload ->> 'ad_id'
where job.job_type = 'rag_index_winner' and job.status = 'pending'
order by job.id limit %(limit)s
for update of job skip locked;

-- name: store_index
-- One winner's place among the others.
insert into winner_index (ad_id, embedding) values (%(ad_id)s, %(embedding)s)
on conflict (ad_id) do update set embedding = excluded.embedding, indexed_at = now();

-- name: finish_job
-- A job that is done, or that failed for the reason given.
update pending_jobs set status = %(status)s, error = %(error)s, attempts = attempts + 1, finished_at = now()
where id = %(id)s;

-- name: model_evaluation
-- How often each model was right, where enough is known.
insert into model_accuracy (model, samples, accuracy)
select model, count(*), avg((predicted = actual)::int)
from predictions where actual is not null
group by model having count(*) >= %(min_samples)s
on conflict (model) do update set samples = excluded.samples, accuracy = excluded.accuracy;

-- name: auto_promoter
-- Ask for more budget for indexed winners, the best first, none of them too often.
insert into pending_jobs (job_type, payload)
select 'budget_change', jsonb_build_object('ad_id', ad_id, 'change_pct', %(budget_increase_pct)s::float8)
from ads join winner_index using (ad_id)
where not exists (
    select from pending_jobs as earlier
    where earlier.job_type = 'budget_change' and earlier.payload ->> 'ad_id' = ads.ad_id
        and earlier.created_at > now() - make_interval(secs => %(min_hours_between_promotions)s * 3600)
)
order by json_to_double(raw_data -> 'roas') desc nulls last, ad_id
limit %(max_promotions_per_cycle)s;

-- name: executor_turn
-- One worker at a time counts and acts, until its transaction ends.
select pg_advisory_xact_lock(hashtext('ad_learning.safe_executor'));

-- name: executor_counts
-- The actions of the last hour and of the last day.
select
    count(*) filter (where executed_at > clock_timestamp() - interval '1 hour'),
    count(*)
from executor_actions where executed_at > clock_timestamp() - interval '1 day';

-- name: executor_take
-- The next budget change: its campaign, that one's budget now, and its budget when the window of velocity began.
select
    job.id, campaigns.campaign_id, campaigns.budget::float8, json_to_double(job.payload -> 'change_pct'),
    coalesce(
        (
            select action.budget_before::float8 from executor_actions as action
            where action.campaign_id = campaigns.campaign_id
                and action.executed_at > clock_timestamp() - make_interval(secs => %(window_hours)s * 3600)
            order by action.executed_at, action.id limit 1
        ),
        campaigns.budget::float8
    )
from pending_jobs as job
left join ads on ads.ad_id = job.payload ->> 'ad_id'
left join campaigns on campaigns.campaign_id = ads.campaign_id
where job.job_type = 'budget_change' and job.status = 'pending'
order by job.id limit 1
for update of job skip locked;

-- name: executor_apply
-- The new budget, and the action that is counted.
with changed as (
    update campaigns set budget = %(after)s where campaign_id = %(campaign_id)s
)
insert into executor_actions (job_id, campaign_id, budget_before, budget_after)
values (%(id)s, %(campaign_id)s, %(before)s, %(after)s);
