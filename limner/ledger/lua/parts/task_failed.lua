-- Uses: record, quota, ready, money, tasks, ends.
-- A task has ended without images, and with it the job, unless another one is open or another attempt is in doubt.
-- It asks for no lease and returns {what, record}, as task_succeeded does.
local function task_failed(told)
  local job, fault = load(told.job)
  if fault then return {fault.err, {}} end
  local tasks = job and tasks_of(job) or {}
  local task = find_task(tasks, told.task_id)
  if not task then return {'stale', {}} end
  if task.state == 'succeeded' or task.state == 'failed' then return repeated_reply(job, task, told, 'failed') end

  -- Before the task's end makes another account the reader.
  local reader = reader_of(job)
  task.state, task.credits = 'failed', told.credits
  note_task_ended(job, task, told)
  keep_tasks(job, tasks)
  if told.owed then spend(job, task.attempt, told.cost) else release(job, task.attempt) end
  local detail = {task_id = task.id, attempt = task.attempt, credits = told.credits, error = told.error}
  local what
  if ended(job.state) then
    local paid = job.state == 'succeeded' and 'double' or 'late_result'
    what = after_the_end(job, tasks, told.credits and paid, detail, told.ttl, 'task_failed')
  else
    what = drop_task(job, told.outcome, told, detail, 'task_failed')
  end
  poll_went_well(reader)
  save(job)
  return {what, record_to_store(job, what)}
end
