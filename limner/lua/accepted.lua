-- sending | in_doubt -> generating: the provider's task is known. Returns 1, or 0 when the job has ended or
-- moved on to another attempt; the task is on the job's log then, because it is paid for.
local state, attempt, task = get(A.job, 'state', 'attempt', 'task_id')
if state == 'generating' and task == A.task_id then return 1 end
if (state ~= 'sending' and state ~= 'in_doubt') or tonumber(attempt) ~= A.attempt then
  if state then announce(A.job, 'late_answer', {attempt = A.attempt, task_id = A.task_id}) end
  return 0
end
redis.call('HSET', record(A.job), 'state', 'generating', 'task_id', A.task_id, 'accepted', int(NOW))
schedule(A.job, NOW + A.delay)
announce(A.job, 'generating', {attempt = A.attempt, task_id = A.task_id, next = A.delay})
return 1
