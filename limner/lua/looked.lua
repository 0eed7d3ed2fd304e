-- generating, or ended with a task that is still open: not ready, look again later. With `task_id`, that task has
-- its turn after the others; with `sure`, the provider has shown it, as the task of `attempt`. Returns 1, or 0 when
-- the step is stale.
local state, held, looks, hinted, looking = get(A.job, 'state', 'lease', 'looks', 'hinted', 'looking')
if not (state == 'generating' or ended(state)) or tonumber(held) ~= A.lease then return 0 end
-- Not due: the lease has run out, and the job stands in the line for another look.
if looking == '' or not redis.call('ZSCORE', DUE, A.job) then return 0 end
local delay = A.delay
if (tonumber(hinted) or 0) >= (tonumber(looking) or NOW) then delay = math.min(delay, HINT_PAUSE) end
if A.too_often then looks_too_often(reader_of(A.job)) else look_went_well(reader_of(A.job)) end
redis.call('HSET', record(A.job), 'looks', looks + 1, 'looking', '', 'seen', int(NOW))
if A.task_id then
  local tasks = tasks_of(A.job)
  local task, place = find_task(tasks, A.task_id)
  if task then
    task.sure, task.attempt = A.sure or task.sure, A.attempt or task.attempt
    if A.attempt then task.account = account_of(A.job, A.attempt) end
    if task.sure and tonumber(get(A.job, 'doubtful')) == task.attempt then no_doubt(A.job) end
    table.insert(tasks, table.remove(tasks, place))
    keep_tasks(A.job, tasks)
    if state == 'generating' then redis.call('HSET', record(A.job), 'task_id', open_task(tasks).id) end
  end
end
look_in(A.job, delay)
note(A.job, 'looked', {answer = A.answer, next = delay})
return 1
