-- The user's tier and balance.
select tier, balance
from public.wallets
where user_id = %s
