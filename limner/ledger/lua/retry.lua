-- Uses: record, wakeup, journal, quota, pauses, ready, money, tasks, proof.
-- Queues a job again after the provider refused its attempt: sending -> queued. `pause` is what the answer says about
-- the account. An attempt with `uncounted` does not count against the maximum; its time, and the one in `uncounted`, are
-- added to the deadline. With `unsent`, the request never reached the provider, and its permit is free. With `doubtful`,
-- the provider may have made a task all the same: the attempt's cost stays on the books.
-- Arguments: job, attempt, error, delay (milliseconds), pause or nothing, uncounted (milliseconds) or nothing,
-- unsent, doubtful.
-- Reply: {1, news for the log}, or {0, news} if the step is stale.
local job, fault = load(A.job)
if fault then return fault end
if not job then return {0, ''} end
local current, account = job.attempt == A.attempt, account_of(job, A.attempt)
local over = has_outcome(job.state)
-- The job may have been cancelled in the meantime. The refusal still says something about the account, and the
-- attempt costs nothing.
if not (over or job.state == 'sending' and current) then return {0, ''} end

if A.doubtful then leave_attempt_doubtful(job, A.attempt) else owe_nothing(job, A.attempt) end
if current and A.error.cause == 'rate_limited' then
  local pause = pause_on(account)
  too_often(job, account, pause and pause.probe == job.id)
elseif current and A.error.cause == 'too_many_running' then
  too_many_running(job, account)
end
if current and A.unsent then return_permit(WINDOW_CREATE .. account, permit_of(job), account) end
local left, news
if current and not A.unsent then heard(account) end
if A.pause then
  if A.pause.credits then A.pause.needs = math.max(1, job.cost or 1) end
  left, news = take_in(account, A.pause, job)
elseif not over then
  if A.unsent then give_up_probe(job, A.delay) else news = end_probe_refused(job) end
end
if not left and not news and not A.unsent then widen_ramp(account, 1) end
if over then
  save(job)
  return {0, news or ''}
end

job.state, job.last_error = 'queued', cjson.encode(A.error)
leave_flight(job)
-- Once the account is closed, its pause spaces the attempts.
local delay = left and A.pause.after and A.uncounted and 0 or A.delay
schedule(job, NOW + delay)
announce(job, 'refused', {attempt = A.attempt, error = A.error, next = delay, pause = left})
local adopted = go_on_polling(job)
if not adopted then watch_expiry(job) end
-- The provider may have made a task although it reported a server fault.
if A.doubtful then job.faulted = (job.faulted or 0) + 1 end
if A.uncounted then
  job.uncounted = (job.uncounted or 0) + 1
  if job.uncounted == A.attempt and not adopted then
    job.deadline = nil
  elseif job.deadline then
    job.deadline = job.deadline + A.uncounted + math.max(0, NOW - (job.sent or NOW))
  end
  -- No callback can come for this attempt, and there may be thousands of such attempts.
  set_of_attempt(job, 'token', A.attempt, nil)
  set_of_attempt(job, 'account', A.attempt, nil)
end
-- An earlier attempt was accepted for certain, and nobody knows its task.
if job.state == 'queued' and job.proven and job.proven ~= job.decided then doubt_instead(job) end
save(job)
return {1, news or ''}
