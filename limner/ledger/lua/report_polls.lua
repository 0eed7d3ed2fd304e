-- Uses: record, quota, ready, tasks, ends, polled, task_succeeded, task_failed, task_lost.
-- What polls have found. Each report is a transition of its own. That of a task's end asks for no lease: the provider's
-- word on it does not depend on who asked. Returns {time, answers}, an answer as {what, record}: 'held' if the task works
-- on, 'ended' if this ended the job, 'late' if it had failed or expired by then, 'noted', or 'stale'; and the record of an
-- end that is still to be stored.

-- A task has ended, or is lost. Its first end stands, but a lost task can still end.
local function task_over(told)
  local job, fault = load(told.job)
  if fault then return {fault.err, {}} end
  local tasks = job and tasks_of(job) or {}
  local task = find_task(tasks, told.task_id)
  if not task then return {'stale', {}} end
  if task.state ~= 'open' and (task.state ~= 'lost' or told.what == 'task_lost') then
    return repeated_reply(job, task, told)
  end

  -- Before the task's end makes another account the reader.
  local reader = reader_of(job)
  local what
  if told.what == 'task_succeeded' then
    what = task_succeeded(job, tasks, task, told)
  elseif told.what == 'task_failed' then
    what = task_failed(job, tasks, task, told)
  else
    what = task_lost(job, tasks, task, told)
  end
  poll_went_well(reader)
  save(job)
  return {what, record_to_store(job, what)}
end

local answers = {}
for at, report in ipairs(A.reports) do
  answers[at] = report.what == 'polled' and polled(report) or task_over(report)
end
return {NOW, answers}
