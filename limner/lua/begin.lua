-- queued -> sending: the attempt is on record before its request goes out. Returns {'granted', attempt, tries,
-- request, account}, {'late'} past the job's deadline, or {'stale'} when the step belongs to somebody else, or must
-- wait again. The same token gets the same grant again, so that a lost answer can be asked for twice.
local state, held, token, account, place, expires = get(A.job, 'state', 'lease', 'token', 'account', 'place', 'expires')

local function granted()
  local attempt, pardoned, request = get(A.job, 'attempt', 'pardoned', 'request')
  return {'granted', tonumber(attempt), attempt - (pardoned or 0), request, account}
end

if state == 'sending' and token == A.token then return granted() end
if state ~= 'queued' or tonumber(held) ~= A.lease then return {'stale'} end
-- The lease's number stays on the record when it has been used, or has run out: its place in flight does not.
if not place then return {'stale'} end

local deadline, lined_up = get(A.job, 'deadline', 'lined_up')
local waited = math.max(0, NOW - (lined_up or NOW))
if deadline and NOW - waited >= tonumber(deadline) then return {'late'} end

local permit = A.job .. ':' .. A.lease
local window = creates_of(account)
local limits = limits_of(account)

local function not_sent()
  take_back(A.job)
  redis.call('ZREM', DUE, A.job)
  ring()
  return {'stale'}
end

local function wait_again()
  queue_up(A.job)
  return not_sent()
end

-- A permit that has left the window does not count there any more: the job takes another turn.
local since = tonumber(redis.call('ZSCORE', window, permit))
if not since or not limits or since <= create_edge(limits) then return wait_again() end
if held_up(A.job, account) or (expires and NOW >= tonumber(expires)) then return wait_again() end
local cost = cost_of(A.job)
local cap, always = over_budget(A.job, cost)
if cap then
  local answer = not_sent()
  over_the_cap(A.job, cap, always)
  return answer
end

local number = redis.call('HINCRBY', record(A.job), 'attempt', 1)
redis.call('HSET', record(A.job), 'state', 'sending', 'token', A.token, 'token:' .. number, A.token,
  'account:' .. number, account, 'sent', int(NOW), 'permit', A.lease)
redis.call('HDEL', record(A.job), 'over', 'answered', 'lined_up')
has_waited(A.job)
if deadline then
  redis.call('HINCRBY', record(A.job), 'deadline', int(waited))
else
  redis.call('HSET', record(A.job), 'deadline', int(NOW + A.deadline), 'allowance', int(A.deadline))
end
if cost > 0 then hold(A.job, number, cost) end
local paused = pause_on(account)
if paused then try_with('probe', A.job, account, A.send_lease) end
-- The window counts requests by when they are sent, not by when they were allowed.
redis.call('ZADD', window, 'XX', int(NOW), permit)
schedule(A.job, NOW + A.send_lease)
announce(A.job, 'sending', {attempt = number, account = account ~= MAIN and account or nil})
return granted()
