-- Uses: record, wakeup, journal, quota, ready, money, tasks.
-- in_doubt -> queued: sent again although the attempt may have been accepted. By policy, with the lease, once;
-- by a person, whenever. Returns the number of times, or 0 when it may not be.
local job, fault = load(A.job)
if fault then return fault end
if not job then return 0 end
if job.state ~= 'in_doubt' then return A.attempt and job.decided == A.attempt and job.resubmitted or 0 end
if A.attempt and job.doubtful ~= A.attempt then return 0 end
if A.lease and (job.lease ~= A.lease or job.resubmitted) then return 0 end

local attempt = job.doubtful
-- The doubt was not the job's own time.
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
