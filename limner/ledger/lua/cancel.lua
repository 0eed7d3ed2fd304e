-- Uses: record, tasks, ends.
-- Cancels a job: any state that has not ended -> cancelled.
-- Arguments: job; unsent, the outcome if the provider cannot have accepted any request of the job; sent, the outcome
-- otherwise; store_lease (milliseconds).
-- Reply: the state that the job was in, also for a repetition; 'in_doubt' for a queued job of which an earlier
-- attempt may have been accepted; nothing for an unknown job.
local job, fault = load(A.job)
if fault then return fault end
if not job then return false end
if job.state == 'cancelled' then return job.cancelled_as end
if ended(job.state) then return job.state end

local found = job.state
if found == 'queued' and (job.resubmitted or job.faulted) then found = 'in_doubt' end
job.cancelled_as = found
if found == 'copying' then
  -- The images are no result any more, and are shown with their task.
  local task = find_task(tasks_of(job), job.task_id)
  if task then
    task.urls = decoded(job.outcome).urls
    keep_tasks(job, tasks_of(job))
  end
end
finish(job, 'cancelled', found == 'queued' and A.unsent or A.sent)
save(job)
return found
