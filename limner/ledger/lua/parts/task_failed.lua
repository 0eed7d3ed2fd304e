-- Uses: record, money, tasks, ends.
-- A task has ended without images, and with it the job, unless another one is open or another attempt is in doubt.
-- Returns what the job came to.
local function task_failed(job, tasks, task, report)
  task.state, task.credits = 'failed', report.credits
  note_task_ended(job, task, report)
  keep_tasks(job, tasks)
  if report.owed then spend(job, task.attempt, report.cost) else release(job, task.attempt) end
  local detail = {task_id = task.id, attempt = task.attempt, credits = report.credits, said = report.said,
    error = report.error}
  if not ended(job.state) then return drop_task(job, report.outcome, report, detail, 'task_failed') end
  local paid = job.state == 'succeeded' and 'double' or 'late_result'
  return after_the_end(job, tasks, report.credits and paid, detail, report.ttl, 'task_failed')
end
