-- Uses: record, durations, quota, ready, money, tasks, ends.
-- Records that a task made its images. It checks no lease: the provider's word does not depend on who asked. A task's
-- first end stands, but a lost task can still end. The first such task of a job is its result, even of a
-- job that had failed. Returns {what, record}: 'ended' if this ended the job, 'late' if it had failed or expired by
-- then, 'noted', or 'stale'; and the record of an end that is still to be stored.
local function task_succeeded(told)
  local job, fault = load(told.job)
  if fault then return {fault.err, {}} end
  local tasks = job and tasks_of(job) or {}
  local task = find_task(tasks, told.task_id)
  if not task then return {'stale', {}} end
  if task.state == 'succeeded' or task.state == 'failed' then return repeated_reply(job, task, told, 'succeeded') end

  -- Before the task's end makes another account the reader.
  local reader, before = reader_of(job), job.state
  task.state, task.credits = 'succeeded', told.credits
  note_task_ended(job, task, told)
  local delivers = before ~= 'succeeded' and before ~= 'cancelled'
  if not delivers then task.urls = told.urls end
  keep_tasks(job, tasks)
  spend(job, task.attempt, told.cost)
  local detail = {task_id = task.id, attempt = task.attempt, credits = told.credits}
  local what = 'noted'
  if delivers then
    what = ended(before) and 'late' or 'ended'
    job.task_id, detail.urls = task.id, #told.urls
    if what == 'late' then keep_record(job) end
    finish(job, 'succeeded', told.outcome, detail, what == 'late' and 'succeeded_late' or 'succeeded', told.result)
  else
    after_the_end(job, tasks, before == 'succeeded' and 'double' or 'late_result', detail, told.ttl)
  end
  poll_went_well(reader)
  if told.learn then learn(told.learn) end
  save(job)
  return {what, record_to_store(job, what)}
end
