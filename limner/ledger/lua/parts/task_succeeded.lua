-- Uses: record, durations, quota, lines, money, tasks, ends.
-- A task has made its images. What the provider says is true whoever asked, so this asks for no lease: the first word
-- on a task is the last, except that what was lost may be found. The first such task of a job is its result, even of a
-- job that had failed. Returns {what, record}: 'ended' if this ended the job, 'late' if it had failed or expired by
-- then, 'noted', or 'stale'; and the record of an end that is still to be stored.
local function task_succeeded(told)
  local job, fault = load(told.job)
  if fault then return {fault.err, {}} end
  local tasks = job and tasks_of(job) or {}
  local task = find_task(tasks, told.task_id)
  if not task then return {'stale', {}} end
  if task.state == 'succeeded' or task.state == 'failed' then return said_before(job, task, told, 'succeeded') end

  local reader, before = reader_of(job), job.state
  task.state, task.credits = 'succeeded', told.credits
  word_of(job, task, told)
  local delivers = before ~= 'succeeded' and before ~= 'cancelled'
  if not delivers then task.urls = told.urls end
  keep_tasks(job, tasks)
  spend(job, task.attempt, told.cost)
  local detail = {task_id = task.id, attempt = task.attempt, credits = told.credits}
  local what = 'noted'
  if delivers then
    what = ended(before) and 'late' or 'ended'
    job.task_id, detail.urls = task.id, #told.urls
    if what == 'late' then hold_on_to(job) end
    finish(job, 'succeeded', told.outcome, detail, what == 'late' and 'succeeded_late' or 'succeeded', told.stored)
  else
    after_the_end(job, tasks, before == 'succeeded' and 'double' or 'late_result', detail, told.ttl)
  end
  look_went_well(reader)
  if told.learn then learn(told.learn) end
  return {what, to_be_stored(job, what)}
end
