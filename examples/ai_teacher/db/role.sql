-- The service's role, with the least that it needs: it reads wallets and takes credits, and writes usage and faults as
-- windsock_writer. It cannot log in until it gets a password. Whoever owns the tables applies this, after wallets.sql.
do $$
begin
    if not exists (select from pg_catalog.pg_roles where rolname = 'ai_teacher') then
        create role ai_teacher nologin in role windsock_writer;
    end if;
end
$$;
grant select, update (balance) on public.wallets to ai_teacher;
grant select, insert, update (credits) on public.wallet_charges to ai_teacher;
drop policy if exists ai_teacher on public.wallets;
create policy ai_teacher on public.wallets to ai_teacher using (true) with check (true);
drop policy if exists ai_teacher on public.wallet_charges;
create policy ai_teacher on public.wallet_charges to ai_teacher using (true) with check (true);
