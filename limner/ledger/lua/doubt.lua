-- Uses: record, wakeup, journal, quota, pauses, money, tasks.
-- sending -> in_doubt: it is not known whether the provider accepted the attempt. Returns 1, or 0 when the
-- step is stale.
local job, fault = load(A.job)
if fault then return fault end
if not job or job.state ~= 'sending' or job.attempt ~= A.attempt then return 0 end

local account = account_of(job, A.attempt)
count_from_now(job, account)
-- A probe in doubt does not tell whether the account is open.
local pause = pause_on(account)
give_up_probe(job, pause and pause.length or 0)
-- A new lease: a message that recovers the attempt does not recover the doubt as well.
job.lease, job.state, job.last_error = job.lease + 1, 'in_doubt', cjson.encode(A.error)
mark_doubtful(job, A.attempt)
redis.call('ZREMRANGEBYRANK', DOUBTS, 0, -MOST_DOUBTS - 1)
-- A doubt can last long; it must not occupy a slot in flight.
leave_flight(job)
schedule(job, NOW + A.grace)
announce(job, 'in_doubt', {attempt = A.attempt, error = A.error, next = A.grace})
go_on_polling(job)
save(job)
return 1
