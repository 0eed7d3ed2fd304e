-- in_doubt: a person is to decide; asked about again in `delay`. Returns 1, or 0 when the step is stale.
local state, held, since = get(A.job, 'state', 'lease', 'held')
if state ~= 'in_doubt' or tonumber(held) ~= A.lease then return 0 end
schedule(A.job, NOW + A.delay)
redis.call('ZADD', DOUBTS, 'NX', int(NOW), A.job)
if not since then
  redis.call('HSET', record(A.job), 'held', int(NOW))
  announce(A.job, 'held')
end
return 1
