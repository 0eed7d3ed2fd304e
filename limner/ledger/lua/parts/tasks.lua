-- Uses: quota, pauses, ready, money.
-- The provider's tasks of a job: {id, attempt, account, state = open|succeeded|failed|lost, sure, credits, urls}.
-- One is `sure` when the provider itself has named it, in its answer to the attempt or in a poll's.

-- The tasks, to be changed in place: `keep_tasks` writes them back.
local function tasks_of(job) return job.known_tasks end

local function open_task(tasks)
  for _, task in ipairs(tasks) do
    if task.state == 'open' then return task end
  end
end

-- Writes the tasks back. The job waits in the line of the account whose key reads the next one.
local function keep_tasks(job, tasks)
  local before = reader_of(job)
  local task = open_task(tasks)
  job.tasks = cjson.encode(tasks)
  local reader = task and task.account or before
  if reader == before then return end
  job.reader = reader
  local place = redis.call('ZSCORE', READY_POLLS .. before, job.id)
  if place then
    redis.call('ZREM', READY_POLLS .. before, job.id)
    enqueue_poll(job, place)
  end
end

-- Releases the money of a refused attempt, unless a task of it is open: that task's end settles the cost.
local function owe_nothing(job, attempt)
  for _, task in ipairs(tasks_of(job)) do
    if task.state == 'open' and task.attempt == attempt then return end
  end
  release(job, attempt)
end

local function find_task(tasks, name)
  for place, task in ipairs(tasks) do
    if task.id == name then return task, place end
  end
end

-- It is not known whether that attempt was accepted.
local function mark_doubtful(job, attempt)
  job.doubtful = attempt
  redis.call('ZADD', DOUBTS, 'NX', NOW, job.id)
end

local function clear_doubt(job)
  job.doubtful = nil
  redis.call('ZREM', DOUBTS, job.id)
end

-- The job waits for that task from now on. If it did not wait for one before, it gets its full allowance again.
local function generate(job, task)
  if job.state == 'queued' then
    take_back(job)
    dequeue(job)
  end
  if not job.deadline or job.state == 'in_doubt' or job.state == 'queued' then
    job.deadline = math.max(job.deadline or 0, NOW + (job.allowance or USUAL_TIME))
  end
  job.state, job.task_id = 'generating', task.id
  job.held, job.ready_since = nil, nil
  enter_flight(job, task.account or MAIN)
end

-- Polls the next open task, if there is one, whatever became of the last attempt. Returns whether there is one.
local function go_on_polling(job)
  local task = open_task(tasks_of(job))
  if not task then return false end
  generate(job, task)
  poll_soon(job)
  return true
end

-- A poll a task that works on has shown it: it is polled after the others, and may be known for certain now.
local function note_task_pending(job, told)
  local tasks = tasks_of(job)
  local task, place = find_task(tasks, told.task_id)
  if not task then return end
  task.sure, task.attempt = told.sure or task.sure, told.attempt or task.attempt
  if told.attempt then task.account = account_of(job, told.attempt) end
  if task.sure and job.doubtful == task.attempt then clear_doubt(job) end
  table.insert(tasks, table.remove(tasks, place))
  keep_tasks(job, tasks)
  if job.state == 'generating' then job.task_id = open_task(tasks).id end
end

-- The provider's last word on a task. With it, an attempt is in doubt no longer.
local function note_task_ended(job, task, told)
  task.sure, task.foreign, task.attempt = true, nil, told.attempt or task.attempt
  task.account = account_of(job, task.attempt)
  job.polls, job.polling, job.seen = job.polls + 1, nil, NOW
  if job.doubtful == task.attempt then clear_doubt(job) end
end
