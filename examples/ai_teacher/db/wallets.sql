-- What a user may spend. The service applies this file when it starts; applying it again changes nothing.
create table if not exists public.wallets (
    user_id uuid primary key references public.profiles (id) on delete cascade,
    tier text not null default 'free' check (tier in ('free', 'pro', 'school')),
    balance bigint not null default 0 -- credits
);
