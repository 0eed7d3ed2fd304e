-- Uses: record, durations, money, tasks, ends.
-- A task made its images. The first such task of a job is its result, even of a job that had failed. Returns what the
-- job came to.
local function task_succeeded(job, tasks, task, told)
  local before = job.state
  task.state, task.credits = 'succeeded', told.credits
  note_task_ended(job, task, told)
  local delivers = before ~= 'succeeded' and before ~= 'cancelled'
  if not delivers then task.urls = told.urls end
  keep_tasks(job, tasks)
  spend(job, task.attempt, told.cost)
  if told.learn then learn(told.learn) end
  local detail = {task_id = task.id, attempt = task.attempt, credits = told.credits}
  if not delivers then
    return after_the_end(job, tasks, before == 'succeeded' and 'double' or 'late_result', detail, told.ttl)
  end
  local what = ended(before) and 'late' or 'ended'
  job.task_id, detail.urls = task.id, #told.urls
  if what == 'late' then keep_record(job) end
  finish(job, 'succeeded', told.outcome, detail, what == 'late' and 'succeeded_late' or 'succeeded', told.result)
  return what
end
