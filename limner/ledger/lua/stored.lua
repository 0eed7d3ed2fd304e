-- Uses: record, wakeup, ready, results, keeping.
-- Records that the result of an ended job is in the result backend. If a task of the job is still open, late polls
-- begin after `follow`. Otherwise the record expires after `ttl`.
-- Arguments: job; finished, the time that identifies the end; copied, if the result has the copies of the images; ttl and
-- follow (milliseconds).
-- Reply: 1; 0 if the job has another end by now, whose result must then replace this one.
local job, fault = load(A.job)
if fault then return fault end
if not job or not ended(job.state) then return 0 end
-- Its callbacks, too, have been sent by now.
if job.celery then job.continued = 1 end
if job.finished ~= A.finished or job.copied and not A.copied then
  keep_record(job)
  job.stored = nil
  dequeue_poll(job)
  schedule(job, NOW)
  save(job)
  return 0
end
result_is_stored(job, {ttl = A.ttl, follow = A.follow})
save(job)
return 1
