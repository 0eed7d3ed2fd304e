-- Uses: record, wakeup, journal.
-- Leaves a doubt to a person: in_doubt stays in_doubt. The job becomes due again after the delay.
-- Arguments: job, lease, delay (milliseconds).
-- Reply: 1, or 0 if the step is stale.
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
