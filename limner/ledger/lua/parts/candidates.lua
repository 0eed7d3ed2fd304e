-- Uses: record, journal, money, tasks, owners.
-- Candidates: task ids that only callbacks have named. Whoever has seen a callback URL can invent any number of them,
-- so a few are open tasks, and the others wait on the record and are tried in turn. No invented id takes a place for
-- good: one that a poll has not found makes room for the next.
--
-- A task is `tried` if a poll has not found it so far. The provider may know it a little later, so it is tried again.

local function candidates_of(job)
  return job.candidates and decoded(job.candidates) or {}
end

local function keep_candidates(job, candidates)
  job.candidates = #candidates > 0 and cjson.encode(candidates) or nil
end

-- Counts wrong ids. They are told at each power of ten, so that they do not fill the job's log.
local function count_wrong_ids(job, more)
  local before = job.wrong_ids or 0
  job.wrong_ids = before + more
  if #int(job.wrong_ids) > #int(before) then announce(job, 'wrong_ids', {count = job.wrong_ids}) end
end

-- Returns true if it is certain which task the attempt has made.
local function is_certain(tasks, attempt)
  for _, task in ipairs(tasks) do
    if task.sure and task.attempt == attempt then return true end
  end
  return false
end

-- Bounds the number of lost tasks that no poll has confirmed: the last one in the list is removed.
local function forget_lost(tasks)
  local lost, last = 0, nil
  for at, task in ipairs(tasks) do
    if task.state == 'lost' and not task.sure then lost, last = lost + 1, at end
  end
  if lost >= MOST_LOST then table.remove(tasks, last) end
end

-- Lets a task wait. Without room for it, the first one that was tried is dropped, or the first one of all.
local function let_wait(job, candidates, task)
  table.insert(candidates, {id = task.id, attempt = task.attempt, at = task.at, tried = task.tried})
  if #candidates <= MOST_CANDIDATES then return end
  local dropped = 1
  for at, candidate in ipairs(candidates) do
    if candidate.tried then
      dropped = at
      break
    end
  end
  table.remove(candidates, dropped)
  count_wrong_ids(job, 1)
end

-- Makes a place among the open tasks for a new one that is not confirmed. The one that leaves was tried, or else is
-- the last to be polled.
local function make_room(job, tasks)
  local unsure, leaves, tried = 0, nil, nil
  for at, task in ipairs(tasks) do
    if task.state == 'open' and not task.sure then
      unsure, leaves = unsure + 1, at
      if task.tried then tried = at end
    end
  end
  if unsure < MOST_UNSURE then return end
  local candidates = candidates_of(job)
  let_wait(job, candidates, table.remove(tasks, tried or leaves))
  keep_candidates(job, candidates)
end

-- Takes a task that was named before out of the candidates, if it is there.
local function take_candidate(job, name)
  local candidates = candidates_of(job)
  local task, position = find_task(candidates, name)
  if not task then return nil end
  table.remove(candidates, position)
  keep_candidates(job, candidates)
  return task
end

-- Returns a task that a poll has something to say of, though it had to make room in the meantime.
local function polled_candidate(job, tasks, name)
  local task = take_candidate(job, name)
  if not task then return nil end
  task.state, task.account = 'open', account_of(job, task.attempt)
  table.insert(tasks, task)
  return task
end

-- Makes an open task of the first candidate whose attempt has no certain task. Returns false if there is none.
local function admit_one(job, tasks, candidates)
  while #candidates > 0 do
    local task = table.remove(candidates, 1)
    -- The provider's answer may have named it in the meantime.
    local known = find_task(tasks, task.id)
    if not known and is_certain(tasks, task.attempt) then
      count_wrong_ids(job, 1)
    elseif not known then
      forget_lost(tasks)
      task.state, task.account = 'open', account_of(job, task.attempt)
      table.insert(tasks, task)
      return true
    end
  end
  return false
end

-- Gives the place of a task that is not polled any more to a candidate.
local function replace_ended(job, tasks, task)
  if task.state == 'lost' and not task.sure then count_wrong_ids(job, 1) end
  if not job.candidates then return end
  local candidates = candidates_of(job)
  admit_one(job, tasks, candidates)
  keep_candidates(job, candidates)
end

-- After a poll that did not end the task: a task that was not found waits again, and the next candidate has its place.
-- Returns the pause before the next poll, which is short if the next task has not been tried yet.
local function try_the_next(job, report, delay)
  local tasks = tasks_of(job)
  local task, position = find_task(tasks, report.task_id)
  if not task or task.state ~= 'open' then return delay end
  if task.sure then
    if report.sure then own_task(job, task.id) end
    return delay
  end
  task.tried = true
  table.remove(tasks, position)
  local candidates = candidates_of(job)
  if admit_one(job, tasks, candidates) then let_wait(job, candidates, task) else table.insert(tasks, task) end
  keep_candidates(job, candidates)
  keep_tasks(job, tasks)
  local first = open_task(tasks)
  if job.state == 'generating' then job.task_id = first.id end
  return (first.sure or first.tried) and delay or math.min(delay, SIGNAL_PAUSE)
end
