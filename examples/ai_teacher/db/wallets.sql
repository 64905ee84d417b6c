-- What a user may spend, and what each answer took. The service applies this file when it starts, if its role may make
-- tables. Row level security and a revoke close the tables to everybody but their owner and the service: on Supabase,
-- anon and authenticated may do anything to a new table in `public`.
do $$
begin
    if pg_catalog.to_regclass('public.wallets') is null then
        create table public.wallets (
            user_id pg_catalog.uuid primary key references public.profiles (id) on delete cascade,
            tier pg_catalog.text not null default 'free' check (tier in ('free', 'pro', 'school')),
            balance bigint not null default 0 -- credits
        );
    end if;
    if pg_catalog.to_regclass('public.wallet_charges') is null then
        create table public.wallet_charges (
            id pg_catalog.uuid primary key, -- the service makes it: a charge that is sent twice is taken once
            user_id pg_catalog.uuid not null references public.wallets (user_id) on delete cascade,
            credits bigint not null, -- 0 for a school's pupil, and for an answer that failed
            charged_at pg_catalog.timestamptz not null default pg_catalog.now()
        );
    end if;
    if exists (
        select from pg_catalog.pg_class
        where oid in ('public.wallets'::pg_catalog.regclass, 'public.wallet_charges'::pg_catalog.regclass)
            and not relrowsecurity and pg_catalog.pg_has_role(relowner, 'usage')
    ) then
        alter table public.wallets enable row level security;
        alter table public.wallet_charges enable row level security;
        if pg_catalog.to_regrole('anon') is not null and pg_catalog.to_regrole('authenticated') is not null then
            revoke all on public.wallets, public.wallet_charges from anon, authenticated;
        end if;
    end if;
end
$$;
