-- Uses: record, quota, ready, tasks, owners, candidates, ends, polled, task_succeeded, task_failed, task_lost.
-- Records the results of polls. Each report is a transition of its own. The report of a task's end needs no lease: the
-- provider's word on it does not depend on who asked.
-- Arguments: reports, store_lease (milliseconds).
-- Reply: {time, answers}, with {what, record, news for the log} for each report: 'held' if the task is still at work, 'ended' if this
-- ended the job, 'late' if the job had failed or expired before, 'noted', or 'stale'; and the record of an end that is
-- still to be stored.

-- A task has ended, or is lost. Its first end stands, but a lost task can still end.
local function task_over(report)
  local job, fault = load(report.job)
  if fault then return {fault.err, {}} end
  local tasks = job and tasks_of(job) or {}
  local task = find_task(tasks, report.task_id) or job and polled_candidate(job, tasks, report.task_id)
  if not task then return {'stale', {}} end
  if task.state ~= 'open' and (task.state ~= 'lost' or report.what == 'task_lost') then
    return repeated_reply(job, task, report)
  end

  -- A task is the result of one job only. This one is another's.
  local owner = report.what == 'task_succeeded' and owner_of(report.task_id)
  if owner and owner ~= job.id then
    report.what, report.foreign, report.grace = 'task_lost', true, PROVEN_GRACE
    report.error = {cause = 'foreign', message = 'the task is that of job ' .. owner}
  elseif report.what == 'task_succeeded' and not owner then
    own_task(job, report.task_id)
  end
  -- Before the task's end makes another account the reader.
  local reader = reader_of(job)
  local what
  if report.what == 'task_succeeded' then
    what = task_succeeded(job, tasks, task, report)
  elseif report.what == 'task_failed' then
    what = task_failed(job, tasks, task, report)
  else
    what = task_lost(job, tasks, task, report)
  end
  poll_went_well(reader)
  save(job)
  return {what, record_to_store(job, what), report.news}
end

local answers = {}
for at, report in ipairs(A.reports) do
  answers[at] = report.what == 'polled' and polled(report) or task_over(report)
end
return {NOW, answers}
