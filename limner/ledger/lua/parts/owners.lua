-- The job of each of the provider's tasks. A task is the result of one job only.

-- The id of the job that the task is certainly of, or nil.
local function owner_of(task_id) return redis.call('GET', TASK_OF .. task_id) or nil end

-- Puts on record that the task is certainly the job's. The first job keeps it.
local function own_task(job, task_id)
  redis.call('SET', TASK_OF .. task_id, job.id, 'NX', 'PX', OWNED)
end
