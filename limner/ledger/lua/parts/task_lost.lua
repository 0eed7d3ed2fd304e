-- Uses: record, money, tasks, candidates, ends.
-- A task is not polled any more: it was never seen, is another job's, or did not end. A job that has no other one is
-- in doubt again, or what it was before. Returns what the job came to.
local function task_lost(job, tasks, task, report)
  task.state, task.foreign = 'lost', report.foreign
  job.polls, job.polling, job.seen = job.polls + 1, nil, NOW
  task.account = account_of(job, task.attempt)
  replace_ended(job, tasks, task)
  keep_tasks(job, tasks)
  -- A task that the provider had shown leaves a doubt behind.
  if task.sure and job.state == 'generating' then mark_doubtful(job, task.attempt) end
  local detail = {task_id = task.id, attempt = task.attempt, error = report.error}
  if not has_outcome(job.state) then return drop_task(job, job.verdict, report, detail, 'task_lost') end
  return after_the_end(job, tasks, nil, detail, report.ttl, 'task_lost')
end
