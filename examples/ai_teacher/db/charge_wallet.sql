-- Takes an answer's credits, once for each id, and gives the balance that is left; no row if the wallet is empty. The
-- last credit buys a whole answer, so the balance ends at zero, never below. A school pays for its pupils.
with wallet as (
    select user_id, case when tier = 'school' then 0 else least(balance, %(credits)s) end as taken
    from public.wallets
    where user_id = %(user_id)s and (balance > 0 or tier = 'school')
    for update
),

charge as (
    insert into public.wallet_charges (id, user_id, credits)
    select %(id)s, user_id, taken from wallet
    on conflict (id) do nothing
    returning user_id, credits
)

update public.wallets
set balance = balance - charge.credits
from charge
where wallets.user_id = charge.user_id
returning wallets.balance
