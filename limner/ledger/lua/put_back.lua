-- Uses: wakeup, apart.
-- Decides about a job that was set apart: it is tried again now, or with `drop` never. A dropped record expires.
-- Arguments: job, drop.
-- Reply: 1, or 0 if the job is not set apart.
if not not_apart(A.job) then return 0 end
if not A.drop then
  redis.call('ZADD', DUE, 'XX', NOW, A.job)
  redis.call('ZADD', COPIES, 'XX', NOW, A.job)
  notify()
  return 1
end
for _, account in ipairs(redis.call('SMEMBERS', ACCOUNTS)) do
  redis.call('ZREM', IN_FLIGHT .. account, A.job)
end
redis.call('ZREM', DUE, A.job)
redis.call('ZREM', EXPIRING, A.job)
redis.call('ZREM', COPIES, A.job)
redis.call('ZREM', COPIES_FAILED, A.job)
redis.call('PEXPIRE', JOB .. A.job, KEEP_DROPPED)
redis.call('PEXPIRE', LOG .. A.job, KEEP_DROPPED)
local key = redis.pcall('HGET', JOB .. A.job, 'key')
if type(key) == 'string' and redis.call('GET', KEY .. key) == A.job then
  redis.call('PEXPIRE', KEY .. key, KEEP_DROPPED)
end
return 1
