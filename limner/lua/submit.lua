-- A new job, unless its id or its idempotency key is known already. Returns {'created'|'known'|'conflict', id}.
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

redis.call('HSET', record(A.job), 'v', VERSION, 'state', 'queued', 'request', A.request, 'digest', A.digest,
  'metadata', A.metadata, 'priority', A.priority, 'turn', redis.call('INCR', P .. 'turns'), 'created', int(NOW), 'lease', 0, 'attempt', 0, 'looks', 0)
if key then
  redis.call('SET', key, A.job)
  redis.call('HSET', record(A.job), 'key', A.key, 'key_ttl', int(A.key_ttl))
end
queue_up(A.job)
announce(A.job, 'submitted')
ring()
return {'created', A.job}
