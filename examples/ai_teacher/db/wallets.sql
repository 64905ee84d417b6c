-- What a user may spend. The service applies this file when it starts, if its role may make tables. Row level security
-- and a revoke close the table to everybody but its owner and the service: on Supabase, anon and authenticated may do
-- anything to a new table in `public`.
do $$
begin
    if pg_catalog.to_regclass('public.wallets') is null then
        create table public.wallets (
            user_id pg_catalog.uuid primary key references public.profiles (id) on delete cascade,
            tier pg_catalog.text not null default 'free' check (tier in ('free', 'pro', 'school')),
            balance bigint not null default 0 -- credits
        );
    end if;
    if exists (
        select from pg_catalog.pg_class
        where oid = 'public.wallets'::pg_catalog.regclass
            and not relrowsecurity and pg_catalog.pg_has_role(relowner, 'usage')
    ) then
        alter table public.wallets enable row level security;
        if pg_catalog.to_regrole('anon') is not null and pg_catalog.to_regrole('authenticated') is not null then
            revoke all on public.wallets from anon, authenticated;
        end if;
    end if;
end
$$;
