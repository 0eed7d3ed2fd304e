-- A task of the provider is known for one of the job's attempts: `sure` if the provider's own answer names it,
-- else from a callback or a person, and a look has to confirm it. Returns 'adopted'; 'expected' if it was known
-- and is still open; 'repeated' if its end is known; 'mismatched' if the attempt has another task for sure;
-- 'unknown_job'.
local MOST_UNSURE = 4

local function answer(outcome)
  if A.count then redis.call('HINCRBY', P .. 'callbacks', outcome, 1) end
  return outcome
end

local state, current = get(A.job, 'state', 'attempt')
if not state then return answer('unknown_job') end
local tasks = tasks_of(A.job)
local known, place = find_task(tasks, A.task_id)
if known then
  if A.sure and not known.sure then
    known.sure = true
    keep_tasks(A.job, tasks)
  end
  if known.state ~= 'open' then return answer('repeated') end
  if not A.sure and (state == 'generating' or ended(state)) then
    if place > 1 then
      table.insert(tasks, 1, table.remove(tasks, place))
      keep_tasks(A.job, tasks)
    end
    -- A job whose result is not stored yet goes on to look when it is.
    if state == 'generating' or get(A.job, 'stored') then look_soon(A.job) end
  end
  return answer('expected')
end

local unsure = 0
for _, task in ipairs(tasks) do
  if not task.sure then unsure = unsure + 1 end
  if not A.sure and task.sure and task.attempt == A.attempt then return answer('mismatched') end
end
if not A.sure and unsure >= MOST_UNSURE then return answer('mismatched') end
tasks[#tasks + 1] = {id = A.task_id, attempt = A.attempt, state = 'open', sure = A.sure or nil}
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
elseif state == 'generating' then
  announce(A.job, 'adopted', detail)
  look_soon(A.job)
elseif A.sure then
  generate(A.job, A.task_id)
  schedule(A.job, NOW + A.delay)
  announce(A.job, 'generating', detail)
else
  announce(A.job, 'adopted', detail)
  go_on_looking(A.job)
end
return answer('adopted')
