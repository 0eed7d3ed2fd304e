-- Uses: record, wakeup, journal, quota, ready, money, tasks.
-- Sends a job again although its attempt may have been accepted: in_doubt -> queued. The policy names its lease and
-- may do so once. A person names no lease and may do so at any time.
-- Arguments: job, lease or nothing, attempt or nothing.
-- Reply: the number of resubmissions, or 0 if the job may not be sent again.
local job, fault = load(A.job)
if fault then return fault end
if not job then return 0 end
if job.state ~= 'in_doubt' then return A.attempt and job.decided == A.attempt and job.resubmitted or 0 end
if A.attempt and job.doubtful ~= A.attempt then return 0 end
if A.lease and (job.lease ~= A.lease or job.resubmitted) then return 0 end

local attempt = job.doubtful
-- Time in doubt does not count against the deadline.
job.held, job.deadline, job.ready_since, job.verdict = nil, nil, nil, nil
job.state, job.decided, job.resubmitted = 'queued', attempt or 0, (job.resubmitted or 0) + 1
clear_doubt(job)
leave_flight(job)
leave_doubtful(job, {})
schedule(job, NOW)
watch_expiry(job)
announce(job, 'resubmitted', {attempt = attempt, by = A.lease and 'policy' or 'person'})
save(job)
return job.resubmitted
