-- sending -> in_doubt: it is not known whether the provider accepted the attempt. Returns 1, or 0 when the
-- step is stale.
local state, attempt = get(A.job, 'state', 'attempt')
if state ~= 'sending' or tonumber(attempt) ~= A.attempt then return 0 end
redis.call('HSET', record(A.job), 'state', 'in_doubt', 'last_error', cjson.encode(A.error))
schedule(A.job, NOW + A.grace)
announce(A.job, 'in_doubt', {attempt = A.attempt, error = A.error, next = A.grace})
return 1
