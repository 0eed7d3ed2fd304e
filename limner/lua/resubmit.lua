-- in_doubt -> queued: sent again although the attempt may have been accepted. By policy, with the lease, once;
-- by a person, whenever. Returns the number of times, or 0 when it may not be.
local state, held, times, attempt, decided = get(A.job, 'state', 'lease', 'resubmitted', 'doubtful', 'decided')
if state ~= 'in_doubt' then return A.attempt and tonumber(decided) == A.attempt and tonumber(times) or 0 end
if A.attempt and tonumber(attempt) ~= A.attempt then return 0 end
if A.lease and (tonumber(held) ~= A.lease or times) then return 0 end
-- The doubt was not the job's own time.
redis.call('HDEL', record(A.job), 'held', 'deadline', 'lined_up', 'verdict')
redis.call('HSET', record(A.job), 'state', 'queued', 'decided', attempt or 0)
no_doubt(A.job)
leave_flight(A.job)
leave_doubtful(A.job, {})
schedule(A.job, NOW)
watch_expiry(A.job)
announce(A.job, 'resubmitted', {attempt = tonumber(attempt), by = A.lease and 'policy' or 'person'})
return redis.call('HINCRBY', record(A.job), 'resubmitted', 1)
