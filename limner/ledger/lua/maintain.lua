-- Uses: record, wakeup, quota, ready.
-- Does the housekeeping of a few accounts, those first whose last one is longest ago. It removes permits that no
-- longer count, releases slots in flight that no job holds, and restores missing index entries of accounts with
-- waiting jobs. It also removes registrations without a claim for a long time and events that are too old, and makes
-- good times that never come.
-- Arguments: none.
-- Reply: the number of accounts that were maintained.
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
-- What is due at a time that never comes is due now.
for _, index in ipairs({DUE, EXPIRING, COPIES, OVER_BUDGET}) do
  for _, id in ipairs(redis.call('ZRANGEBYSCORE', index, FOR_EVER, '+inf', 'LIMIT', 0, PIECE)) do
    redis.call('ZADD', index, NOW, id)
  end
end
local silent = redis.call('ZRANGEBYSCORE', REGISTRATIONS, '-inf', NOW - REGISTRATION_KEPT, 'LIMIT', 0, MOST_MAINTAINED)
for _, registration in ipairs(silent) do
  redis.call('ZREM', REGISTRATIONS, registration)
  redis.call('DEL', REGISTRATION .. registration)
end
-- The ids of events have the server's time, whatever the ledger's clock.
redis.call('XTRIM', EVENTS, 'MINID', '~', int((redis.pcall('TIME')[1] - KEEP_EVENT_SECONDS) * 1000))
return #accounts
