-- Uses: pauses.
-- Closes an account for a trouble that a worker has met without a job. An account that is paused stays as it is.
-- Arguments: account, why, as `close` takes it.
-- Reply: 1, or 0 if the account is paused.
if closed_until(A.account) then return 0 end
close(A.account, A.why, {})
return 1
