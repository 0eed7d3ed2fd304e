-- generating -> generating: not ready, look again later. Returns 1, or 0 when the step is stale.
local state, held = get(A.job, 'state', 'lease')
if state ~= 'generating' or tonumber(held) ~= A.lease then return 0 end
-- Not due: the lease has run out, and the job stands in the line for another look.
if not redis.call('ZSCORE', DUE, A.job) then return 0 end
redis.call('HINCRBY', record(A.job), 'looks', 1)
schedule(A.job, NOW + A.delay)
note(A.job, 'looked', {answer = A.answer, next = A.delay})
return 1
