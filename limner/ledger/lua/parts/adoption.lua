-- Uses: ready, money, tasks, ends.
-- A task becomes one of the job's, and is polled next.

local function to_the_front(tasks, place)
  table.insert(tasks, 1, table.remove(tasks, place))
end

-- Of tasks that nobody could confirm, only so many are remembered.
local function forget_lost(tasks)
  local lost, last = 0, nil
  for at, task in ipairs(tasks) do
    if task.state == 'lost' and not task.sure then lost, last = lost + 1, at end
  end
  if lost >= MOST_LOST then table.remove(tasks, last) end
end

-- Follows a task that was unknown or lost: it is open now and belongs to `attempt`, whose expected cost is held again
-- unless another task of it has settled the cost.
local function follow(job, tasks, task, place, attempt)
  if place then table.remove(tasks, place) else forget_lost(tasks) end
  local settled = false
  for _, other in ipairs(tasks) do
    settled = settled or other.attempt == attempt and (other.state == 'succeeded' or other.state == 'failed')
  end
  -- The money of an attempt on the wire is still held.
  local on_the_wire = job.state == 'sending' and job.attempt == attempt
  if not settled and not on_the_wire then hold_again(job, attempt) end
  task.state, task.attempt, task.foreign, task.account = 'open', attempt, nil, account_of(job, attempt)
  table.insert(tasks, 1, task)
  keep_tasks(job, tasks)
  job.accepted = NOW
end

-- A job that has ended polls the task quietly, once its own result is stored.
local function follow_late(job)
  if not job.stored then return end
  keep_record(job)
  poll_soon(job)
end
