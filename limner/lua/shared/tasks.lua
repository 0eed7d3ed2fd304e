-- The provider's tasks of a job: {id, attempt, account, state = open|succeeded|failed|lost, sure, credits, urls}.
-- One is `sure` when the provider itself has named it, in its answer to the attempt or in a look's.

local DOUBTS = P .. 'doubts'
local USUAL_TIME = 900000

local function tasks_of(id)
  local text, state, task_id, attempt = get(id, 'tasks', 'state', 'task_id', 'attempt')
  if text then return cjson.decode(text) end
  -- Version 1 knew of one task only.
  if not task_id or state == 'succeeded' then return {} end
  return {{id = task_id, attempt = tonumber(attempt), state = 'open', sure = true}}
end

local function open_task(tasks)
  for _, task in ipairs(tasks) do
    if task.state == 'open' then return task end
  end
end

local function keep_tasks(id, tasks)
  redis.call('HSET', record(id), 'tasks', cjson.encode(tasks), 'v', VERSION)
  local task, before = open_task(tasks), reader_of(id)
  local reader = task and task.account or before
  if reader == before then return end
  redis.call('HSET', record(id), 'reader', reader)
  local at = redis.call('ZSCORE', look_line(before), id)
  if at then
    redis.call('ZREM', look_line(before), id)
    redis.call('ZADD', look_line(reader), at, id)
  end
end

-- An attempt was refused; of a task that it has all the same, the end will tell what it costs.
local function owe_nothing(id, attempt)
  for _, task in ipairs(tasks_of(id)) do
    if task.state == 'open' and task.attempt == attempt then return end
  end
  release(id, attempt)
end

local function find_task(tasks, name)
  for place, task in ipairs(tasks) do
    if task.id == name then return task, place end
  end
end

-- The attempt of which it is not known whether it was accepted, and the index of jobs that have one.
local function doubt(id, attempt)
  redis.call('HSET', record(id), 'doubtful', attempt)
  redis.call('ZADD', DOUBTS, 'NX', int(NOW), id)
end

local function no_doubt(id)
  redis.call('HDEL', record(id), 'doubtful')
  redis.call('ZREM', DOUBTS, id)
end

-- A job that waited for something else than its task has all of its time again.
local function generate(id, task)
  local state, deadline, allowance = get(id, 'state', 'deadline', 'allowance')
  if state == 'queued' then take_back(id) end
  if not deadline or state == 'in_doubt' or state == 'queued' then
    deadline = math.max(tonumber(deadline) or 0, NOW + (tonumber(allowance) or USUAL_TIME))
  end
  redis.call('HSET', record(id), 'state', 'generating', 'task_id', task.id, 'deadline', int(deadline))
  redis.call('HDEL', record(id), 'held', 'lined_up')
  leave_line(id)
  enter_flight(id, task.account or MAIN)
end

-- A job with a task that is still open has something to wait for, whatever became of its last attempt.
local function go_on_looking(id)
  local task = open_task(tasks_of(id))
  if not task then return false end
  generate(id, task)
  look_soon(id)
  return true
end
