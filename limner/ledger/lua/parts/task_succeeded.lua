-- Uses: record, durations, money, tasks, candidates, ends.
-- A task made its images. The first such task of a job is its result, even of a job that had failed. Returns what the
-- job came to.
local function task_succeeded(job, tasks, task, report)
  local before = job.state
  task.state, task.credits = 'succeeded', report.credits
  note_task_ended(job, task, report)
  replace_ended(job, tasks, task)
  local delivers = before ~= 'succeeded' and before ~= 'cancelled'
  if not delivers then task.urls = report.urls end
  keep_tasks(job, tasks)
  -- A task that was read again has been paid for by its first end.
  if task.paid then task.paid = nil else spend(job, task.attempt, report.cost) end
  if report.learn then learn(report.learn) end
  local detail = {task_id = task.id, attempt = task.attempt, credits = report.credits, said = report.said,
    relative = report.relative}
  if not delivers then
    return after_the_end(job, tasks, before == 'succeeded' and 'double' or 'late_result', detail, report.ttl)
  end
  local what = ended(before) and 'late' or 'ended'
  job.task_id, detail.urls = task.id, #report.urls
  if what == 'late' then keep_record(job) end
  finish(job, 'succeeded', report.outcome, detail, what == 'late' and 'succeeded_late' or 'succeeded', report.result)
  return what
end
