-- Uses: record, wakeup, journal, quota, pauses, ready, money, tasks, results.
-- The end of a job. The job stays due until its result is in the result backend.

-- Takes the job out of everything in which it waits for the provider.
local function leave_provider(job)
  if job.state == 'queued' then
    take_back(job)
    dequeue(job)
  end
  if job.expires then redis.call('ZREM', EXPIRING, job.id) end
  leave_lane(job)
  dequeue_poll(job)
  give_up_probe(job, 0)
  leave_flight(job)
  local waiting = {}
  for _, task in ipairs(tasks_of(job)) do
    if task.state == 'open' then waiting[task.attempt] = true end
  end
  leave_doubtful(job, waiting)
  job.polling = nil
end

-- Ends the job. `result` is the backend's text for this end, if the caller has prepared one (results.lua). Otherwise
-- a worker has `A.store_lease` milliseconds to store the result.
local function finish(job, state, outcome, detail, event, result)
  leave_provider(job)
  job.state, job.outcome, job.finished, job.stored = state, outcome, NOW, nil
  announce(job, event or state, detail)
  if result and store_result(job, result) then
    result_is_stored(job, result)
  else
    schedule(job, NOW + A.store_lease)
  end
  -- Whoever waits reads as well, so that the end may not fail for want of a right to publish.
  redis.pcall('PUBLISH', ENDED .. job.id, state)
end

-- Lets the job wait for the copies of its images: generating -> copying. If they take longer than `patience`
-- milliseconds, it is due, and ends without them. The new lease keeps an older step from ending it before.
local function await_copies(job, outcome, detail, patience)
  leave_provider(job)
  job.lease, job.state, job.outcome = job.lease + 1, 'copying', outcome
  announce(job, 'copying', detail)
  schedule(job, NOW + patience)
end

-- Returns the saved record, flat, if a worker must store its result: the job has ended, or its cost became known
-- after its end. Returns {} if the result is stored already, or has to wait for another or for copies.
local function record_to_store(job, what)
  if not ended(job.state) then return {} end
  local changed = what == 'noted' and job.stored and job.state ~= 'succeeded'
  if not changed and (what == 'noted' or job.stored) then return {} end
  return redis.call('HGETALL', JOB .. job.id)
end

-- The reply for a task whose end was known already. If that end has ended the job, the first reply was lost and is
-- repeated.
local function repeated_reply(job, task, report)
  local same = report.what == 'task_' .. task.state and job.outcome == report.outcome
  if same and job.state == 'copying' then return {'copying', {}} end
  if not same or not ended(job.state) then return {'stale', {}} end
  return {'ended', redis.call('HGETALL', JOB .. job.id)}
end

-- Records the end of a task whose job had ended; `paid` is the event if the task was paid for.
local function after_the_end(job, tasks, paid, detail, ttl, event)
  if paid then announce(job, paid, detail) else note(job, event, detail) end
  local open = open_task(tasks)
  if not open then leave_doubtful(job, {}) end
  if job.stored then
    if open then
      poll_soon(job)
    else
      dequeue_poll(job)
      expire_record(job, ttl)
    end
  end
  return 'noted'
end

-- Handles a task that will not deliver. `verdict` is the job's outcome if nothing else is left to wait for. Returns
-- what became of the job.
local function drop_task(job, verdict, report, detail, event)
  local waiting = job.state == 'generating' or job.state == 'in_doubt'
  if not waiting or go_on_polling(job) or (job.doubtful and job.state == 'in_doubt') then
    -- With a later attempt on the wire, the outcome of that attempt decides.
    if verdict and waiting then job.verdict = verdict end
    note(job, event, detail)
    return 'noted'
  end
  if verdict and not job.doubtful then
    detail.error = decoded(verdict).error
    finish(job, 'failed', verdict, detail)
    return 'ended'
  end
  note(job, event, detail)
  job.task_id = nil
  dequeue_poll(job)
  leave_flight(job)
  if job.doubtful then
    job.lease, job.state = job.lease + 1, 'in_doubt'
    schedule(job, NOW + report.grace)
    announce(job, 'in_doubt', {attempt = job.doubtful, error = report.error, next = report.grace})
  else
    -- The attempt was refused, and its task has not delivered: the refusal stands.
    job.state = 'queued'
    schedule(job, NOW)
    watch_expiry(job)
  end
  return 'noted'
end
