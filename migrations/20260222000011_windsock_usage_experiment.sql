-- The experiment that a request exposed its user to, and the arm. Rows from before have neither.

alter table public.usage_logs
    add column if not exists experiment text, -- its name in the flag's metadata, else the flag's key
    add column if not exists arm text; -- the experiment flag's variant

create index if not exists usage_logs_experiment_idx
    on public.usage_logs (experiment, user_id, requested_at)
    where experiment is not null;
