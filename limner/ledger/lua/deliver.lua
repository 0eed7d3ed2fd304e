-- Uses: record, ends.
-- Ends a job whose copies take longer than it waits for them: copying -> succeeded. They are made all the same.
-- Arguments: job, lease, store_lease (milliseconds).
-- Reply: the record, flat; {} if the step is stale.
local job, fault = load(A.job)
if fault then return fault end
if not job or job.state ~= 'copying' or job.lease ~= A.lease then return {} end
finish(job, 'succeeded', job.outcome, {task_id = job.task_id, copied = false})
save(job)
return redis.call('HGETALL', JOB .. A.job)
