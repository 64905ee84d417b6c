-- The user's tier, and whether the user may ask. A school pays for its pupils: their own balance does not count.
select tier, balance > 0 or tier = 'school' as solvent
from public.wallets
where user_id = %s
