-- Uses: ready, money, tasks, candidates, keeping.
-- Adoption: a task becomes one of the job's tasks, and is the next one to be polled.

local function to_the_front(tasks, position)
  table.insert(tasks, 1, table.remove(tasks, position))
end

-- Follows a task that was unknown or lost: it is open now and belongs to `attempt`, whose expected cost is held again
-- unless another task of it has settled the cost.
local function follow(job, tasks, task, position, attempt)
  if position then table.remove(tasks, position) else forget_lost(tasks) end
  local settled = false
  for _, other in ipairs(tasks) do
    settled = settled or other.attempt == attempt and (other.state == 'succeeded' or other.state == 'failed')
  end
  -- An attempt on the wire has its money held already.
  local on_the_wire = job.state == 'sending' and job.attempt == attempt
  if not settled and not on_the_wire then hold_again(job, attempt) end
  task.state, task.attempt, task.foreign, task.account = 'open', attempt, nil, account_of(job, attempt)
  task.tried = nil
  table.insert(tasks, 1, task)
  keep_tasks(job, tasks)
  job.accepted = NOW
end

-- Begins late polls of the task, once the result of the ended job is stored.
local function follow_late(job)
  if not job.stored then return end
  keep_record(job)
  poll_soon(job)
end
