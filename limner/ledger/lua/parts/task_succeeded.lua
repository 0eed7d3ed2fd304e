-- Uses: record, durations, money, tasks, candidates, ends, copies, keeping.
-- A task made its images. The first such task of a job is its result, even of a job that had failed. With `copy`, the
-- images of each task are copied, and the job waits so many milliseconds for them. Returns what the job came to.
local function task_succeeded(job, tasks, task, report)
  local before = job.state
  task.state, task.credits = 'succeeded', report.credits
  note_task_ended(job, task, report)
  replace_ended(job, tasks, task)
  local delivers = before ~= 'succeeded' and before ~= 'cancelled' and before ~= 'copying'
  if not delivers then task.urls = report.urls end
  keep_tasks(job, tasks)
  -- A task that was read again has been paid for by its first end.
  if task.paid then task.paid = nil else spend(job, task.attempt, report.cost) end
  if report.learn then learn(report.learn) end
  local detail = {task_id = task.id, attempt = task.attempt, credits = report.credits, said = report.said,
    relative = report.relative}
  if report.copy then add_copies(job, task.id, report.urls) end
  if not delivers then
    return after_the_end(job, tasks, before == 'cancelled' and 'late_result' or 'double', detail, report.ttl)
  end
  local what = ended(before) and 'late' or 'ended'
  job.task_id, detail.urls = task.id, #report.urls
  if what == 'late' then
    keep_record(job)
  elseif report.copy and report.copy > 0 then
    await_copies(job, report.outcome, detail, report.copy)
    return 'copying'
  end
  finish(job, 'succeeded', report.outcome, detail, what == 'late' and 'succeeded_late' or 'succeeded', report.result)
  return what
end
