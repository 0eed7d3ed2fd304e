-- A look's last word on one of the job's tasks: it `succeeded`, it `failed`, or it is `lost`. What the provider
-- says is true whoever asked, so this asks for no lease: the first word on a task is the last, except that what
-- was lost may be found. Returns {what, time}: 'ended' if this ended the job, 'late' if a job that had failed or
-- expired has succeeded by it, 'noted', or 'stale'. Time is that of the job's end.
local state, outcome, finished, doubtful = get(A.job, 'state', 'outcome', 'finished', 'doubtful')
local tasks = tasks_of(A.job)
local task = find_task(tasks, A.task_id)
if not task then return {'stale', 0} end
if task.state ~= 'open' and not (task.state == 'lost' and A.result ~= 'lost') then
  if task.state == A.result and ended(state) and outcome == A.outcome then return {'ended', tonumber(finished)} end
  return {'stale', 0}
end

look_went_well(reader_of(A.job))
local delivers = A.result == 'succeeded' and state ~= 'succeeded' and state ~= 'cancelled'
task.state, task.credits = A.result, A.credits
task.sure = task.sure or (A.result ~= 'lost' or nil)
task.foreign = A.foreign
task.attempt = A.attempt or task.attempt
task.account = account_of(A.job, task.attempt)
if not delivers then task.urls = A.urls end
keep_tasks(A.job, tasks)
redis.call('HINCRBY', record(A.job), 'looks', 1)
redis.call('HSET', record(A.job), 'looking', '', 'seen', int(NOW))
if A.result == 'succeeded' or A.owed then
  spend(A.job, task.attempt, A.cost)
elseif A.result == 'failed' then
  release(A.job, task.attempt)
end
local detail = {task_id = A.task_id, attempt = task.attempt, credits = A.credits, error = A.error}

-- A doubt lasts until the provider itself shows the attempt's task. A task that it had shown and that is lost
-- leaves one behind.
if A.result == 'lost' and task.sure and state == 'generating' then
  doubtful = task.attempt
  doubt(A.job, doubtful)
elseif A.result ~= 'lost' and tonumber(doubtful) == task.attempt then
  no_doubt(A.job)
  doubtful = nil
end

if delivers then
  redis.call('HSET', record(A.job), 'task_id', A.task_id)
  detail.urls = #A.urls
  if ended(state) then hold_on_to(A.job) end
  finish(A.job, 'succeeded', A.outcome, detail, ended(state) and 'succeeded_late' or 'succeeded')
  return {ended(state) and 'late' or 'ended', NOW}
end

if ended(state) then
  if A.result == 'succeeded' or A.credits then
    announce(A.job, state == 'succeeded' and 'double' or 'late_result', detail)
  else
    note(A.job, 'task_' .. A.result, detail)
  end
  if not open_task(tasks) then leave_doubtful(A.job, {}) end
  if not get(A.job, 'stored') then return {'noted', 0} end
  if open_task(tasks) then
    look_soon(A.job)
  else
    let_go(A.job, A.ttl)
  end
  return {'noted', 0}
end

-- What a failed task says of the job counts when nothing else is left to wait for.
local verdict = A.result == 'failed' and A.outcome or get(A.job, 'verdict')
local waiting = state == 'generating' or state == 'in_doubt'
if not waiting or go_on_looking(A.job) or (doubtful and state == 'in_doubt') then
  -- With a later attempt on the wire, that one's outcome is what counts.
  if verdict and waiting then redis.call('HSET', record(A.job), 'verdict', verdict) end
  note(A.job, 'task_' .. A.result, detail)
  return {'noted', 0}
end
if verdict and not doubtful then
  detail.error = cjson.decode(verdict).error
  finish(A.job, 'failed', verdict, detail)
  return {'ended', NOW}
end
note(A.job, 'task_' .. A.result, detail)
redis.call('HDEL', record(A.job), 'task_id')
leave_look_line(A.job)
leave_flight(A.job)
if doubtful then
  redis.call('HINCRBY', record(A.job), 'lease', 1)
  redis.call('HSET', record(A.job), 'state', 'in_doubt')
  schedule(A.job, NOW + A.grace)
  announce(A.job, 'in_doubt', {attempt = tonumber(doubtful), error = A.error, next = A.grace})
else
  -- The attempt had been refused, and its task is none: the refusal stands.
  redis.call('HSET', record(A.job), 'state', 'queued')
  schedule(A.job, NOW)
  watch_expiry(A.job)
end
return {'noted', 0}
