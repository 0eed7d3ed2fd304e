-- Uses: record, copies.
-- The copies of a job's images are about to be made. The step gets a new lease, so that whoever has claimed it cannot
-- give it back any more.
-- Arguments: job, lease; copy_lease, until when the step is the caller's (milliseconds).
-- Reply: {time, record}. The record is flat, and has the new lease; {} if the step is stale.
local job, fault = load(A.job)
if fault then return fault end
if not job or not may_copy(job) then return {NOW, {}} end
redis.call('ZADD', COPIES, NOW + A.copy_lease, A.job)
end_copy_lease(job)
save(job)
return {NOW, redis.call('HGETALL', JOB .. A.job)}
