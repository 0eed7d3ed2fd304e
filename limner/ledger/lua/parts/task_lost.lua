-- Uses: record, quota, ready, money, tasks, ends.
-- A task is not polled any more: it was never seen, is another job's, or did not end. A job that has no other one is
-- in doubt again, or what it was before. It asks for no lease and returns {what, record}, as task_succeeded does.
local function task_lost(told)
  local job, fault = load(told.job)
  if fault then return {fault.err, {}} end
  local tasks = job and tasks_of(job) or {}
  local task = find_task(tasks, told.task_id)
  if not task then return {'stale', {}} end
  if task.state ~= 'open' then return repeated_reply(job, task, told, 'lost') end

  -- Before the task's end makes another account the reader.
  local reader = reader_of(job)
  task.state, task.foreign = 'lost', told.foreign
  job.polls, job.polling, job.seen = job.polls + 1, nil, NOW
  task.account = account_of(job, task.attempt)
  keep_tasks(job, tasks)
  -- A task that the provider had shown leaves a doubt behind.
  if task.sure and job.state == 'generating' then mark_doubtful(job, task.attempt) end
  local detail = {task_id = task.id, attempt = task.attempt, error = told.error}
  local what
  if ended(job.state) then
    what = after_the_end(job, tasks, nil, detail, told.ttl, 'task_lost')
  else
    what = drop_task(job, job.verdict, told, detail, 'task_lost')
  end
  poll_went_well(reader)
  save(job)
  return {what, record_to_store(job, what)}
end
