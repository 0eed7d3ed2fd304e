-- Uses: record, copies, keeping.
-- A person has the images of a job copied now that are not stored yet, also if their copies had failed.
-- Arguments: job.
-- Reply: the number of images; -1 for an unknown job.
local job, fault = load(A.job)
if fault then return fault end
if not job then return -1 end
local left = 0
for _, copy in ipairs(copies_of(job)) do
  if not copy.stored then left = left + 1 end
end
if left == 0 then return 0 end
job.copy_since, job.copy_tries, job.copy_overdue = NOW, nil, nil
end_copy_lease(job)
redis.call('ZREM', COPIES_FAILED, job.id)
keep_record(job)
save(job)
copy_at(job, NOW)
return left
