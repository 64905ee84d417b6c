-- Takes an answer's credits. The last credit buys a whole answer, so the balance ends at zero, never below.
update public.wallets
set balance = greatest(balance - %s, 0)
where user_id = %s and tier <> 'school'
