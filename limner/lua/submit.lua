-- A new job, unless its id or its idempotency key is known already, or no worker speaks for the account that it
-- names. Returns {'created'|'known'|'conflict', id} or {'no_account', names}.
local key = A.key and P .. 'key:' .. A.key
if key then
  local known = redis.call('GET', key)
  if known then
    local same = get(known, 'digest')
    if same and same ~= A.digest then return {'conflict', known} end
    if same then return {'known', known} end
  end
end
if redis.call('EXISTS', record(A.job)) == 1 then return {'known', A.job} end
if A.account and redis.call('SISMEMBER', P .. 'accounts', A.account) == 0 then
  local names = redis.call('SMEMBERS', P .. 'accounts')
  table.sort(names)
  if #names > 0 then return {'no_account', table.concat(names, ', ')} end
end

local turn = next_turn(A.priority, A.lane or '', A.account)
redis.call('HSET', record(A.job), 'v', VERSION, 'state', 'queued', 'request', A.request, 'digest', A.digest,
  'metadata', A.metadata, 'priority', A.priority, 'turn', int(turn), 'created', int(NOW), 'lease', 0, 'attempt', 0,
  'looks', 0, 'waits', 1)
if A.lane then redis.call('HSET', record(A.job), 'lane', A.lane) end
if A.account then redis.call('HSET', record(A.job), 'pinned', A.account) end
if A.expires_in then
  redis.call('HSET', record(A.job), 'expires', int(NOW + A.expires_in))
  redis.call('ZADD', EXPIRING, int(NOW + A.expires_in), A.job)
end
if key then
  redis.call('SET', key, A.job)
  redis.call('HSET', record(A.job), 'key', A.key, 'key_ttl', int(A.key_ttl))
end
queue_up(A.job)
announce(A.job, 'submitted')
ring()
return {'created', A.job}
