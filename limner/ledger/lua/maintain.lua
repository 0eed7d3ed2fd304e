-- Uses: wakeup, quota, ready.
-- Housekeeping for a few accounts, those that have gone longest without: permits are forgotten that count no more, and
-- slots in flight are given back that nobody holds; should an index have missed what waits, it is there again. Registrations
-- that have not claimed for long are forgotten. Returns how many accounts that were.
local accounts = redis.call('ZRANGEBYSCORE', MAINTAINED, '-inf', NOW - MAINTAIN_EVERY, 'LIMIT', 0, MOST_MAINTAINED)
for _, account in ipairs(accounts) do
  local limits = limits_of(account)
  if limits then
    forget_permits(account, limits)
    audit_flight(account)
    local waiting = redis.call('ZCARD', ready_of(account)) + redis.call('ZCARD', READY_POLLS .. account)
    if waiting > 0 or redis.call('EXISTS', PAUSE .. account) == 1 then visit_by(account, NOW) end
    redis.call('ZADD', OPEN, 'NX', NOW, account)
  end
  redis.call('ZADD', MAINTAINED, NOW, account)
end
for _, registration in ipairs(redis.call('ZRANGEBYSCORE', REGISTRATIONS, '-inf', NOW - REGISTRATION_KEPT, 'LIMIT', 0, MOST_MAINTAINED)) do
  redis.call('ZREM', REGISTRATIONS, registration)
  redis.call('DEL', REGISTRATION .. registration)
end
return #accounts
