-- Uses: record, wakeup, journal.
-- in_doubt: a person is to decide; asked about again in `delay`. Returns 1, or 0 when the step is stale.
local job, fault = load(A.job)
if fault then return fault end
if not job or job.state ~= 'in_doubt' or job.lease ~= A.lease then return 0 end

schedule(job, NOW + A.delay)
redis.call('ZADD', DOUBTS, 'NX', NOW, A.job)
if not job.held then
  job.held = NOW
  announce(job, 'held')
end
save(job)
return 1
