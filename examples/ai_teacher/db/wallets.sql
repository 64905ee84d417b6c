-- What a user may spend. The service applies this file when it starts, if its role may make tables; where the table is,
-- this does nothing.
do $$
begin
    if to_regclass('public.wallets') is null then
        create table public.wallets (
            user_id uuid primary key references public.profiles (id) on delete cascade,
            tier text not null default 'free' check (tier in ('free', 'pro', 'school')),
            balance bigint not null default 0 -- credits
        );
    end if;
end
$$;
