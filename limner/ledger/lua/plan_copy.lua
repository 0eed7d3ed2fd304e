-- Uses: record, copies.
-- Renews the lease of a job's copies. With `number`, an image has been fetched, and `file` describes the object that
-- it is about to become.
-- Arguments: job, lease; copy_lease (milliseconds); number and file, or neither.
-- Reply: 1, or 0 if the step is stale.
local job, fault = load(A.job)
if fault then return fault end
if not job or not may_copy(job) then return 0 end
redis.call('ZADD', COPIES, NOW + A.copy_lease, A.job)
if A.number then
  local copies = copies_of(job)
  local copy = copies[A.number]
  if not copy or copy.stored then return 0 end
  copy.file = A.file
  job.copies = cjson.encode(copies)
  save(job)
end
return 1
