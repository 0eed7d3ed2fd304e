-- The result of a job that has ended lies in the result backend: nothing more is due, and the record may go
-- when its time is over. The idempotency key outlives the job by its own time, and the record with it.
local state, key, key_ttl = get(A.job, 'state', 'key', 'key_ttl')
if state ~= 'succeeded' and state ~= 'failed' and state ~= 'cancelled' then return 0 end
local ttl = math.max(A.ttl, tonumber(key_ttl) or 0)
redis.call('PEXPIRE', record(A.job), int(ttl))
redis.call('PEXPIRE', P .. 'log:' .. A.job, int(ttl))
if key then redis.call('PEXPIRE', P .. 'key:' .. key, int(key_ttl)) end
redis.call('ZREM', DUE, A.job)
return 1
