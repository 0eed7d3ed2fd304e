-- Uses: record, wakeup, ready, results, ends.
-- The result of a job that has ended lies in the result backend. If a task of it is still open, polling goes on
-- quietly, first after `follow`; else the record may go in `ttl`. Returns 1, or 0 when the job has another end
-- by now, which is then stored over this one.
local job, fault = load(A.job)
if fault then return fault end
if not job or not ended(job.state) then return 0 end
if job.finished ~= A.finished then
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
