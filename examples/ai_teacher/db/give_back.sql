-- Gives a charge back. One that has not arrived yet gets its row, without credits: when it does arrive, it takes nothing.
with charge as (
    select user_id, credits from public.wallet_charges where id = %(id)s for update
),

cleared as (
    insert into public.wallet_charges (id, user_id, credits)
    select %(id)s, user_id, 0 from public.wallets where user_id = %(user_id)s
    on conflict (id) do update set credits = 0
)

update public.wallets
set balance = balance + charge.credits
from charge
where wallets.user_id = charge.user_id
