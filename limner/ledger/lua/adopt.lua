-- Uses: record, journal, ready, money, tasks, owners, candidates, adoption.
-- Adopts a task that a callback or a person names for one of the job's attempts. A poll has to confirm it.
-- Arguments: job, attempt, task_id, by ('callback' or 'person').
-- Reply: 'adopted'; 'expected' if the task was known and is open; 'repeated' if its end is known; 'mismatched' if the
-- attempt is known to have another task, or cannot have this one; 'unknown_job'.
local called_back = A.by == 'callback'

local function answer(outcome)
  if called_back then redis.call('HINCRBY', CALLBACKS, outcome, 1) end
  return outcome
end

local job, fault = load(A.job)
if fault then return fault end
if not job then return answer('unknown_job') end
if A.attempt == 0 then return answer('mismatched') end
local tasks, state = tasks_of(job), job.state
local task, position = find_task(tasks, A.task_id)

local function mismatched()
  if called_back then
    count_wrong_ids(job, 1)
    save(job)
  end
  return answer('mismatched')
end

if task and task.state == 'open' then
  task.account = account_of(job, task.attempt)
  to_the_front(tasks, position)
  keep_tasks(job, tasks)
  if state == 'generating' then job.task_id = A.task_id end
  -- A job that has ended is polled again only after its result is stored.
  if state == 'generating' or job.stored then poll_soon(job) end
  save(job)
  return answer('expected')
end
if task and task.state ~= 'lost' then return answer('repeated') end
if task and task.foreign then return mismatched() end
if called_back and not task and is_certain(tasks, A.attempt) then return mismatched() end
local owner = owner_of(A.task_id)
if owner and owner ~= job.id then return mismatched() end

local waited = take_candidate(job, A.task_id)
-- A person is believed to have looked.
if called_back then
  make_room(job, tasks)
  task, position = find_task(tasks, A.task_id)
end
follow(job, tasks, task or waited or {id = A.task_id, at = NOW}, position, A.attempt)
local detail = {attempt = A.attempt, task_id = A.task_id, by = A.by}
if has_outcome(state) then
  announce(job, 'late_answer', detail)
  follow_late(job)
else
  -- The answer to the attempt is still open. If it is lost, it cannot be requested again.
  if state == 'sending' and job.attempt == A.attempt then mark_doubtful(job, A.attempt) end
  announce(job, 'adopted', detail)
  -- The outcome of a later attempt on the wire decides first.
  if state ~= 'sending' or job.attempt == A.attempt then go_on_polling(job) end
end
save(job)
return answer('adopted')
