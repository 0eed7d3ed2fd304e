-- Uses: quota, pauses, ready, money.
-- The provider's tasks of a job: {id, attempt, account, state = open|succeeded|failed|lost, sure, credits, urls}. A
-- task is `sure` if the provider itself has named it, in its answer to the attempt or to a poll.

-- The list of tasks. It is changed in position, and `keep_tasks` writes it to the record.
local function tasks_of(job) return job.known_tasks end

local function open_task(tasks)
  for _, task in ipairs(tasks) do
    if task.state == 'open' then return task end
  end
end

-- Writes the tasks to the record. A job that waits for a poll moves to the queue of the account that reads the next
-- task.
local function keep_tasks(job, tasks)
  local before = reader_of(job)
  local task = open_task(tasks)
  job.tasks = cjson.encode(tasks)
  local reader = task and task.account or before
  if reader == before then return end
  job.reader = reader
  local score = redis.call('ZSCORE', READY_POLLS .. before, job.id)
  if score then
    redis.call('ZREM', READY_POLLS .. before, job.id)
    enqueue_poll(job, score)
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
  for position, task in ipairs(tasks) do
    if task.id == name then return task, position end
  end
end

-- Marks the attempt as one of which nobody knows whether it was accepted.
local function mark_doubtful(job, attempt)
  job.doubtful = attempt
  redis.call('ZADD', DOUBTS, 'NX', NOW, job.id)
end

local function clear_doubt(job)
  job.doubtful = nil
  redis.call('ZREM', DOUBTS, job.id)
end

-- Makes the job wait for that task. A job that did not wait for a task before gets its full allowance again.
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

-- Polls the job's next open task, regardless of the last attempt's outcome. Returns false if no task is open.
local function go_on_polling(job)
  local task = open_task(tasks_of(job))
  if not task then return false end
  generate(job, task)
  poll_soon(job)
  return true
end

-- Notes that a poll found the task unfinished. It is polled after the job's others, and may be confirmed now.
local function note_task_pending(job, report)
  local tasks = tasks_of(job)
  local task, position = find_task(tasks, report.task_id)
  if not task then return end
  local unsure = not task.sure
  task.sure, task.attempt = report.sure or task.sure, report.attempt or task.attempt
  if report.attempt then task.account = account_of(job, report.attempt) end
  if task.sure and job.doubtful == task.attempt then clear_doubt(job) end
  if task.sure and unsure then no_trouble(account_of(job, task.attempt), job) end
  table.insert(tasks, table.remove(tasks, position))
  keep_tasks(job, tasks)
  if job.state == 'generating' then job.task_id = open_task(tasks).id end
end

-- Notes the end of a task. The attempt that made it is no longer in doubt.
local function note_task_ended(job, task, report)
  local unsure = not task.sure
  task.sure, task.foreign, task.attempt = true, nil, report.attempt or task.attempt
  task.account = account_of(job, task.attempt)
  job.polls, job.polling, job.seen = job.polls + 1, nil, NOW
  if job.doubtful == task.attempt then clear_doubt(job) end
  if unsure then no_trouble(account_of(job, task.attempt), job) end
end
