-- Uses: record, money, tasks, ends.
-- A task has ended without images, and with it the job, unless another one is open or another attempt is in doubt.
-- Returns what the job came to.
local function task_failed(job, tasks, task, told)
  task.state, task.credits = 'failed', told.credits
  note_task_ended(job, task, told)
  keep_tasks(job, tasks)
  if told.owed then spend(job, task.attempt, told.cost) else release(job, task.attempt) end
  local detail = {task_id = task.id, attempt = task.attempt, credits = told.credits, error = told.error}
  if not ended(job.state) then return drop_task(job, told.outcome, told, detail, 'task_failed') end
  local paid = job.state == 'succeeded' and 'double' or 'late_result'
  return after_the_end(job, tasks, told.credits and paid, detail, told.ttl, 'task_failed')
end
