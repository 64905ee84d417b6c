-- name: store_report
-- What the platform reports about a known ad, if it is new.
insert into platform_reports (ad_id, impressions, clicks, spend, revenue)
select ad_id, new.impressions, new.clicks, new.spend, new.revenue
from (
    values (%(ad_id)s, %(impressions)s::bigint, %(clicks)s::bigint, %(spend)s::numeric, %(revenue)s::numeric)
) as new (ad_id, impressions, clicks, spend, revenue)
join ads using (ad_id)
where (new.impressions, new.clicks, new.spend, new.revenue) is distinct from (
    select (known.impressions, known.clicks, known.spend, known.revenue) from platform_reports as known
    where known.ad_id = new.ad_id order by known.id desc limit 1
);

-- name: know_account
-- The account that reported the ads of a campaign is the campaign's.
update campaigns set account_id = %(account)s
where account_id is distinct from %(account)s
    and id in (select campaign_id from ads where ad_id = any(%(ads)s));

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
-- The mean return of each campaign, smoothed: a cycle weighs as much as each earlier one, and at least 1/smoothing_cycles.
insert into campaign_learning as known (campaign_id, roas, cycles)
select campaign_id, avg(json_to_double(raw_data -> 'roas')), 1
from ads where json_to_double(raw_data -> 'roas') is not null
group by campaign_id
on conflict (campaign_id) do update set
    roas = known.roas + (excluded.roas - known.roas) / least(known.cycles + 1, %(smoothing_cycles)s),
    cycles = known.cycles + 1;

-- name: watched_campaigns
-- The campaigns with ads that are no winners yet, and their accounts.
select distinct ads.campaign_id, campaigns.account_id
from ads left join campaigns on campaigns.id = ads.campaign_id
where not exists (
    select from pending_jobs as known
    where known.job_type = 'rag_index_winner' and known.payload ->> 'ad_id' = ads.ad_id
);

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
    ctr, json_to_double(raw_data -> 'roas'), floor(extract(epoch from now() - created_at) / 3600)::int, impressions,
    campaign_id
)
on conflict do nothing;

-- name: take_index_jobs
-- Winners waiting to be indexed; no other worker takes them until this transaction ends.
select job.id, job.attempts, ads.ad_id, ads.campaign_id, ads.video_id, ads.raw_data -> 'attributes'
from pending_jobs as job left join ads on ads.ad_id = job.payload ->> 'ad_id'
where job.job_type = 'rag_index_winner' and job.status = 'pending'
order by job.id limit %(limit)s
for update of job skip locked;

-- name: take_stale_winners
-- Winners whose vector was made by another model or dimension than the current one.
select null, 0, ads.ad_id, ads.campaign_id, ads.video_id, ads.raw_data -> 'attributes'
from winner_index as winner join ads using (ad_id)
where (winner.model, winner.dimension) <> (%(model)s, %(dimension)s)
order by ads.ad_id limit %(limit)s
for update of winner skip locked;

-- name: store_index
-- Store one winner's vector.
insert into winner_index (ad_id, model, dimension, embedding)
values (%(ad_id)s, %(model)s, %(dimension)s, %(embedding)s::double precision[])
on conflict (ad_id) do update set
    model = excluded.model, dimension = excluded.dimension, embedding = excluded.embedding, indexed_at = now();

-- name: nearest_winners
-- The winners most similar to a vector, and how they performed.
select ad_id, near.likeness, ads.ctr, json_to_double(ads.raw_data -> 'roas')
from nearest_winners(%(place)s::double precision[], %(model)s, %(limit)s) as near join ads using (ad_id)
order by near.likeness desc nulls last, ad_id;

-- name: end_index_attempt
-- Mark a job as done, or as failed with a reason; a job that stays pending is retried.
update pending_jobs set
    status = %(status)s, error = %(error)s, attempts = attempts + 1,
    finished_at = case when %(status)s <> 'pending' then now() end
where id = %(id)s;

-- name: model_evaluation
-- How often each model was right, if there is enough data.
insert into model_accuracy (model, samples, accuracy)
select model, count(*), avg((predicted = actual)::int)
from predictions where actual is not null
group by model having count(*) >= %(min_samples)s
on conflict (model) do update set samples = excluded.samples, accuracy = excluded.accuracy;

-- name: winners_campaigns
-- The campaigns of indexed winners, and their accounts.
select distinct campaign_id, account_id
from winner_index join ads using (ad_id) left join campaigns on campaigns.id = ads.campaign_id;

-- name: auto_promoter
-- Ask for more budget for indexed winners, best first, none of them too often: how much and how often, each campaign has
-- for itself.
insert into pending_jobs (job_type, payload)
select 'budget_change', jsonb_build_object('ad_id', ad_id, 'change_pct', own.increase)
from ads join winner_index using (ad_id)
join unnest(%(campaigns)s::text[], %(increases)s::float8[], %(hours)s::float8[])
    as own (campaign_id, increase, hours) using (campaign_id)
where not exists (
    select from pending_jobs as earlier
    where earlier.job_type = 'budget_change' and earlier.payload ->> 'ad_id' = ads.ad_id
        and earlier.created_at > now() - make_interval(secs => own.hours * 3600)
)
order by json_to_double(raw_data -> 'roas') desc nulls last, ad_id
limit %(limit)s;

-- name: executor_turn
-- One worker at a time counts and acts, until its connection ends; whether it is this one. Nobody waits for a turn.
select pg_try_advisory_lock(hashtext('ad_learning.safe_executor'));

-- name: executor_turn_over
-- The next worker may have its turn, before the server has seen this connection's end.
select pg_advisory_unlock(hashtext('ad_learning.safe_executor'));

-- name: executor_paused
-- Why no worker may act now; no row if all may.
select reason from executor_pause where until > clock_timestamp();

-- name: executor_pause
-- Pause all workers; a longer pause already in force stays.
insert into executor_pause as known (until, reason)
values (clock_timestamp() + make_interval(secs => %(seconds)s), %(reason)s)
on conflict (only_row) do update set until = excluded.until, reason = excluded.reason
where known.until < excluded.until;

-- name: executor_counts
-- Actions in the last hour and the last day; those the platform refused do not count.
select
    count(*) filter (where executed_at > clock_timestamp() - interval '1 hour'),
    count(*)
from executor_actions where executed_at > clock_timestamp() - interval '1 day' and status <> 'refused';

-- name: executor_take
-- The next budget change. One that was being sent goes first, and no other change to its campaign starts before it has
-- ended.
select
    job.id, job.attempts, ads.campaign_id, campaigns.account_id, json_to_double(job.payload -> 'change_pct'),
    sent.id, sent.budget_before, sent.budget_after
from pending_jobs as job
left join ads on ads.ad_id = job.payload ->> 'ad_id'
left join campaigns on campaigns.id = ads.campaign_id
left join executor_actions as sent on sent.job_id = job.id
where job.job_type = 'budget_change' and job.status = 'pending'
    and (job.retry_at is null or job.retry_at <= clock_timestamp())
    and not exists (
        select from executor_actions as other
        where other.campaign_id = ads.campaign_id and other.status = 'sending' and other.job_id <> job.id
    )
order by sent.id nulls last, job.id limit 1;

-- name: executor_window
-- A campaign's budget before the first action in its window of velocity; no row without such an action.
select budget_before from executor_actions
where campaign_id = %(campaign_id)s and status <> 'refused'
    and executed_at > clock_timestamp() - make_interval(secs => %(window_hours)s * 3600)
order by executed_at, id limit 1;

-- name: executor_begin
-- Record the action that counts towards the limits, before the platform is asked for it.
insert into executor_actions (job_id, campaign_id, budget_before, budget_after)
values (%(id)s, %(campaign_id)s, %(before)s, %(after)s);

-- name: executor_end
-- Record the outcome of a job, and of its action if it has one.
with ended as (
    update executor_actions set status = %(action)s where job_id = %(id)s
)
update pending_jobs set
    status = %(status)s, error = %(error)s, attempts = attempts + 1, retry_at = null, finished_at = now()
where id = %(id)s;

-- name: executor_retry
-- Let a job wait, and say why.
update pending_jobs set
    attempts = attempts + 1, error = %(error)s,
    retry_at = clock_timestamp() + make_interval(secs => %(seconds)s)
where id = %(id)s;
