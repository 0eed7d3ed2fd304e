-- Uses: record, journal, quota, pauses, ready, money, tasks, owners, adoption.
-- Records the provider's answer to an attempt, which names its task: sending, in_doubt, queued -> generating. A job
-- that has ended, or has another task already, follows this task as well.
-- Arguments: job, attempt, task_id, delay (milliseconds until the first poll).
-- Reply: 'adopted'; 'expected' if the task was known and is open; 'repeated' if its end is known; 'mismatched' if
-- there is no attempt; 'unknown_job'. With it, the news for the log if the answer opened the account, else ''.
local job, fault = load(A.job)
if fault then return fault end
if not job then return {'unknown_job', ''} end
if A.attempt == 0 then return {'mismatched', ''} end
local tasks = tasks_of(job)
local task, position = find_task(tasks, A.task_id)

local state, current = job.state, job.attempt == A.attempt
local awaited = state == 'sending' and current
-- A callback can arrive before the answer; the job is then `generating` already.
local account, news = account_of(job, A.attempt), nil
if awaited or (state == 'generating' and current) then
  learn_from_answer(job, account)
  news = end_pause_of_probe(job)
end
redis.call('DEL', TROUBLES .. account)
if task and task.state ~= 'open' and task.state ~= 'lost' then
  save(job)
  return {'repeated', news or ''}
end
if job.doubtful == A.attempt then clear_doubt(job) end
local known = task and task.state == 'open'
local detail = {attempt = A.attempt, task_id = A.task_id, by = not known and 'answer' or nil, next = A.delay}

if known then
  task.sure, task.attempt, task.account = true, A.attempt, account
  if awaited then to_the_front(tasks, position) end
  keep_tasks(job, tasks)
else
  task = task or {id = A.task_id, at = NOW}
  task.sure = true
  follow(job, tasks, task, position, A.attempt)
end

if awaited or (not known and (state == 'in_doubt' or state == 'queued')) then
  generate(job, task)
  poll_in(job, A.delay)
  announce(job, 'generating', detail)
elseif not known and has_outcome(state) then
  announce(job, 'late_answer', detail)
  follow_late(job)
elseif not known then
  announce(job, 'adopted', detail)
  -- The outcome of a later attempt on the wire decides first.
  if state == 'generating' then go_on_polling(job) end
end
own_task(job, A.task_id)
save(job)
return {known and 'expected' or 'adopted', news or ''}
