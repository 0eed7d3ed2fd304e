-- Uses: record, journal, ready, money, tasks, proof.
-- Records that an attempt was accepted for certain, and that the id of its task is unknown: a callback had the
-- attempt's token, and its body could not be read. The job is not sent again for it: queued -> in_doubt.
-- Arguments: job, attempt.
-- Reply: 'accepted_unnamed'; 'expected' if the attempt's task is known and open, which is polled at once; 'repeated'
-- if its end is known; 'unknown_job'.
local function answer(outcome)
  redis.call('HINCRBY', CALLBACKS, outcome, 1)
  return outcome
end

local job, fault = load(A.job)
if fault then return fault end
if not job then return answer('unknown_job') end
local tasks = tasks_of(job)

for _, task in ipairs(tasks) do
  if task.sure and task.attempt == A.attempt and task.state ~= 'lost' then
    if task.state ~= 'open' then return answer('repeated') end
    if job.state == 'generating' or job.stored then poll_soon(job) end
    save(job)
    return answer('expected')
  end
end
if job.proven == A.attempt then return answer('accepted_unnamed') end

local certain = false
for _, task in ipairs(tasks) do certain = certain or task.sure and task.state == 'open' end

job.proven = A.attempt
-- The task costs something, whatever the attempt's answer was.
hold_again(job, A.attempt)
if has_outcome(job.state) and not open_task(tasks) then leave_doubtful(job, {}) end
announce(job, 'accepted_unnamed', {attempt = A.attempt})
if job.state == 'queued' then
  doubt_instead(job)
elseif job.state == 'in_doubt' then
  -- A step that is about to send the job again becomes stale. The job stays due, and is claimed once more.
  job.lease = job.lease + 1
elseif job.state == 'generating' and not job.doubtful and not certain then
  -- Should the tasks that callbacks have named be lost, the job must not be sent again.
  mark_doubtful(job, A.attempt)
end
save(job)
return answer('accepted_unnamed')
