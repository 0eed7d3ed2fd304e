-- A task of the provider is known for one of the job's attempts: for sure `by` the provider's own 'answer', else by
-- a 'callback' or a 'person', and a look has to confirm it. Returns 'adopted'; 'expected' if it was known
-- and is still open; 'repeated' if its end is known; 'mismatched' if the attempt has another task for sure, or
-- cannot have this one; 'unknown_job'.
local MOST_UNSURE = 4
local MOST_LOST = 8

local SURE, BY_CALLBACK = A.by == 'answer' or nil, A.by == 'callback'

local function answer(outcome)
  if BY_CALLBACK then redis.call('HINCRBY', P .. 'callbacks', outcome, 1) end
  return outcome
end

local state, current, doubtful = get(A.job, 'state', 'attempt', 'doubtful')
if not state then return answer('unknown_job') end
if A.attempt == 0 then return answer('mismatched') end
local tasks = tasks_of(A.job)
local task, place = find_task(tasks, A.task_id)

local waits = SURE and state == 'sending' and tonumber(current) == A.attempt
local proven = SURE and tonumber(doubtful) == A.attempt

-- A callback may have been quicker than the answer that it announces.
if waits or (SURE and state == 'generating' and tonumber(current) == A.attempt) then
  answered(A.job, account_of(A.job, A.attempt))
  probe_succeeded(A.job)
end

if task and task.state == 'open' then
  if SURE then task.sure, task.attempt = true, A.attempt end
  if proven then no_doubt(A.job) end
  if waits or not SURE then
    table.insert(tasks, 1, table.remove(tasks, place))
    if state == 'generating' then redis.call('HSET', record(A.job), 'task_id', A.task_id) end
  end
  task.account = account_of(A.job, task.attempt)
  keep_tasks(A.job, tasks)
  if waits then
    generate(A.job, task)
    look_in(A.job, A.delay)
    announce(A.job, 'generating', {attempt = A.attempt, task_id = A.task_id, next = A.delay})
  -- A job whose result is not stored yet goes on to look when it is.
  elseif not SURE and (state == 'generating' or get(A.job, 'stored')) then
    look_soon(A.job)
  end
  return answer('expected')
end
if task and task.state ~= 'lost' then return answer('repeated') end
if task and task.foreign and not SURE then return answer('mismatched') end

if not task then
  local unsure, lost = 0, {}
  for at, other in ipairs(tasks) do
    if BY_CALLBACK and other.sure and other.attempt == A.attempt then return answer('mismatched') end
    if other.state == 'open' and not other.sure then unsure = unsure + 1 end
    if other.state == 'lost' and not other.sure then lost[#lost + 1] = at end
  end
  if BY_CALLBACK and unsure >= MOST_UNSURE then return answer('mismatched') end
  if #lost >= MOST_LOST then table.remove(tasks, lost[#lost]) end
  task = {id = A.task_id, at = NOW}
else
  table.remove(tasks, place)
end
if proven then no_doubt(A.job) end
local settled = false
for _, other in ipairs(tasks) do
  settled = settled or other.attempt == A.attempt and (other.state == 'succeeded' or other.state == 'failed')
end
if not settled then hold_again(A.job, A.attempt) end
-- In front: it is the one that is looked at next.
task.state, task.sure, task.attempt, task.foreign = 'open', task.sure or SURE, A.attempt, nil
task.account = account_of(A.job, A.attempt)
table.insert(tasks, 1, task)
keep_tasks(A.job, tasks)
redis.call('HSET', record(A.job), 'accepted', int(NOW))
local detail = {attempt = A.attempt, task_id = A.task_id, by = A.by, next = A.delay}

if ended(state) then
  announce(A.job, 'late_answer', detail)
  if get(A.job, 'stored') then
    hold_on_to(A.job)
    look_soon(A.job)
  end
elseif state == 'sending' and tonumber(current) ~= A.attempt then
  -- A later attempt is on the wire, and its own outcome comes first.
  announce(A.job, 'adopted', detail)
elseif SURE and state ~= 'generating' then
  generate(A.job, task)
  look_in(A.job, A.delay)
  announce(A.job, 'generating', detail)
else
  -- The answer to the attempt is still to come, and will not be asked for again.
  if state == 'sending' then doubt(A.job, A.attempt) end
  announce(A.job, 'adopted', detail)
  go_on_looking(A.job)
end
return answer('adopted')
