-- sending -> in_doubt: it is not known whether the provider accepted the attempt. Returns 1, or 0 when the
-- step is stale.
local MOST_DOUBTS = 100000

local state, attempt = get(A.job, 'state', 'attempt')
if state ~= 'sending' or tonumber(attempt) ~= A.attempt then return 0 end
unanswered(A.job, account_of(A.job, A.attempt))
-- Whether the account is open again is as doubtful.
local pause = pause_on(account_of(A.job, A.attempt))
no_probe(A.job, pause and pause.length or 0)
-- A new lease: a message that settles the attempt does not settle the doubt as well.
redis.call('HINCRBY', record(A.job), 'lease', 1)
redis.call('HSET', record(A.job), 'state', 'in_doubt', 'last_error', cjson.encode(A.error))
doubt(A.job, A.attempt)
redis.call('ZREMRANGEBYRANK', DOUBTS, 0, -MOST_DOUBTS - 1)
-- It may be long, and an attempt that never arrived would take the place of one that works.
leave_flight(A.job)
schedule(A.job, NOW + A.grace)
announce(A.job, 'in_doubt', {attempt = A.attempt, error = A.error, next = A.grace})
go_on_looking(A.job)
return 1
