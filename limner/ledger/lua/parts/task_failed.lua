-- Uses: record, wakeup, journal, quota, pauses, ready, money, tasks, candidates, ends.

-- Sends the job again after its task has failed from a fault that may be over: generating -> queued.
local function buy_again(job, report, detail)
  job.remade, job.last_error = (job.remade or 0) + 1, cjson.encode(report.error)
  job.state, job.task_id = 'queued', nil
  dequeue_poll(job)
  leave_flight(job)
  detail.error, detail.next = report.error, report.again
  announce(job, 'bought_again', detail)
  schedule(job, NOW + report.again)
  watch_expiry(job)
  return 'noted'
end

-- A task has ended without images, and with it the job, unless another one is open, another attempt is in doubt, or
-- the job is sent `again`. `pause` is what the failure says about the account. Returns what the job came to.
local function task_failed(job, tasks, task, report)
  task.state, task.credits, task.paid = 'failed', report.credits, report.owed
  job.raw = report.raw or job.raw
  note_task_ended(job, task, report)
  replace_ended(job, tasks, task)
  keep_tasks(job, tasks)
  if report.owed then spend(job, task.attempt, report.cost) else release(job, task.attempt) end
  if report.pause then
    report.pause.needs = report.pause.credits and math.max(1, job.cost or 1)
    report.news = select(2, close(account_of(job, task.attempt), report.pause, job))
  end
  local detail = {task_id = task.id, attempt = task.attempt, credits = report.credits, said = report.said,
    error = report.error}
  if report.again and job.state == 'generating' and not job.doubtful and not open_task(tasks) then
    return buy_again(job, report, detail)
  end
  if not has_outcome(job.state) then return drop_task(job, report.outcome, report, detail, 'task_failed') end
  local paid = (job.state == 'succeeded' or job.state == 'copying') and 'double' or 'late_result'
  return after_the_end(job, tasks, report.credits and paid, detail, report.ttl, 'task_failed')
end
