-- Uses: record, wakeup, journal, quota, pauses, money, tasks, adoption.
-- Records that nobody knows whether the provider accepted the attempt: sending -> in_doubt.
-- Arguments: job, attempt, error, grace (milliseconds in which a callback may resolve the doubt); pause, or nothing, if
-- the answer says something about the account; task_ids, what may be the id of the task: each is followed until a poll
-- has confirmed or dropped it.
-- Reply: {1, news for the log}, or {0, ''} if the step is stale.
local job, fault = load(A.job)
if fault then return fault end
if not job or job.state ~= 'sending' or job.attempt ~= A.attempt then return {0, ''} end

local account = account_of(job, A.attempt)
count_from_now(job, account)
local news
if A.pause then
  news = select(2, take_in(account, A.pause, job))
else
  widen_ramp(account, 1)
end
-- A probe in doubt does not show whether the account is open.
local pause = pause_on(account)
give_up_probe(job, pause and pause.length or 0)
-- The new lease makes a message that recovers the attempt stale, so that it cannot recover the doubt as well.
job.lease, job.state, job.last_error = job.lease + 1, 'in_doubt', cjson.encode(A.error)
mark_doubtful(job, A.attempt)
redis.call('ZREMRANGEBYRANK', DOUBTS, 0, -MOST_DOUBTS - 1)
-- A doubt can last long; it must not occupy a slot in flight.
leave_flight(job)
schedule(job, NOW + A.grace)
announce(job, 'in_doubt', {attempt = A.attempt, error = A.error, next = A.grace})
for _, id in ipairs(A.task_ids) do
  if not find_task(tasks_of(job), id) then
    follow(job, tasks_of(job), {id = id, at = NOW}, nil, A.attempt)
    announce(job, 'adopted', {attempt = A.attempt, task_id = id, by = 'answer'})
  end
end
go_on_polling(job)
save(job)
return {1, news or ''}
