-- Uses: record, ends.
-- Any state that has not ended -> cancelled, with the outcome `unsent` if no request of the job can have been accepted,
-- else `sent`. Returns the state that the job was in, again if it is repeated, 'in_doubt' for a queued one of which an
-- earlier attempt may have been accepted, or nothing for an unknown job.
local job, fault = load(A.job)
if fault then return fault end
if not job then return false end
if job.state == 'cancelled' then return job.cancelled_as end
if ended(job.state) then return job.state end

local found = job.state
if found == 'queued' and (job.resubmitted or job.faulted) then found = 'in_doubt' end
job.cancelled_as = found
finish(job, 'cancelled', found == 'queued' and A.unsent or A.sent)
save(job)
return found
