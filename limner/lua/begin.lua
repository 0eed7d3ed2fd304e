-- queued -> sending: the attempt is on record before its request goes out. Returns
-- {'granted', attempt, tries, request}, {'late'} past the job's deadline, or {'stale'} when the step belongs to
-- somebody else. The same token gets the same grant again, so that a lost answer can be asked for twice.
local function granted()
  local attempt, pardoned, request = get(A.job, 'attempt', 'pardoned', 'request')
  return {'granted', tonumber(attempt), attempt - (pardoned or 0), request}
end

local state, held, token = get(A.job, 'state', 'lease', 'token')
if state == 'sending' and token == A.token then return granted() end
if state ~= 'queued' or tonumber(held) ~= A.lease then return {'stale'} end
-- The lease's number stays on the record when it has been used, or has run out: its place in flight does not.
if redis.call('SISMEMBER', IN_FLIGHT, A.job) == 0 then return {'stale'} end

local deadline = tonumber(get(A.job, 'deadline'))
if deadline and NOW >= deadline then return {'late'} end

-- A permit that has left the window does not count there any more: the job takes another turn.
local permit = A.job .. ':' .. A.lease
if not redis.call('ZSCORE', CREATES, permit) then
  redis.call('ZREM', DUE, A.job)
  leave_flight(A.job)
  queue_up(A.job)
  ring()
  return {'stale'}
end

local number = redis.call('HINCRBY', record(A.job), 'attempt', 1)
redis.call('HSET', record(A.job), 'state', 'sending', 'token', A.token, 'token:' .. number, A.token, 'sent', int(NOW))
if not deadline then
  redis.call('HSET', record(A.job), 'deadline', int(NOW + A.deadline), 'allowance', int(A.deadline))
end
-- The window counts requests by when they are sent, not by when they were allowed.
redis.call('ZADD', CREATES, 'XX', int(NOW), permit)
schedule(A.job, NOW + A.send_lease)
announce(A.job, 'sending', {attempt = number})
return granted()
