-- Uses: record, wakeup, journal, quota, pauses, ready, money, tasks.
-- Queues a job again after the provider refused its attempt: sending -> queued. With `pause`, the account is closed
-- for a while. An attempt with `pause` or `uncounted` does not count against the maximum. The time in `uncounted` is
-- added to the deadline. With `unsent`, the request never reached the provider, and its permit is free.
-- Arguments: job, attempt, error, delay (milliseconds), pause or nothing, uncounted (milliseconds) or nothing,
-- unsent.
-- Reply: 1, or 0 if the step is stale.
local job, fault = load(A.job)
if fault then return fault end
if not job then return 0 end
local current, account = job.attempt == A.attempt, account_of(job, A.attempt)
local over = ended(job.state)
-- The job may have been cancelled in the meantime. The refusal still says something about the account, and the
-- attempt costs nothing.
if not (over or job.state == 'sending' and current) then return 0 end

owe_nothing(job, A.attempt)
if current and A.error.cause == 'rate_limited' then too_often(job, account) end
if current and A.unsent then return_permit(WINDOW_CREATE .. account, permit_of(job), account) end
local left
if A.pause then
  if A.pause.credits then A.pause.needs = math.max(1, job.cost or 1) end
  left = close(account, A.pause, job)
elseif not over then
  if A.unsent then give_up_probe(job, A.delay) else end_probe_refused(job) end
end
if over then
  save(job)
  return 0
end

job.state, job.last_error = 'queued', cjson.encode(A.error)
leave_flight(job)
schedule(job, NOW + A.delay)
announce(job, 'refused', {attempt = A.attempt, error = A.error, next = A.delay,
  pause = A.pause and not A.pause.key and left or nil})
local adopted = go_on_polling(job)
if not adopted then watch_expiry(job) end
-- The provider may have made a task although it reported a server fault.
if A.error.cause == 'server_fault' then job.faulted = 1 end
if A.uncounted or A.pause then
  job.uncounted = (job.uncounted or 0) + 1
  if job.uncounted == A.attempt and not adopted then
    job.deadline = nil
  elseif A.uncounted and job.deadline then
    job.deadline = job.deadline + A.uncounted
  end
  -- No callback can come for this attempt, and there may be thousands of such attempts.
  set_of_attempt(job, 'token', A.attempt, nil)
  set_of_attempt(job, 'account', A.attempt, nil)
end
save(job)
return 1
