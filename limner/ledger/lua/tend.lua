-- Uses: bell, quota, lines.
-- Housekeeping for a few accounts, those that have gone longest without: permits are forgotten that count no more, and
-- places in flight are given back that nobody holds; should an index have missed what waits, it is there again. Speakers
-- that have not claimed for long are forgotten. Returns how many accounts that were.
local accounts = redis.call('ZRANGEBYSCORE', TENDED, '-inf', NOW - TEND_EVERY, 'LIMIT', 0, MOST_TENDED)
for _, account in ipairs(accounts) do
  local limits = limits_of(account)
  if limits then
    forget_permits(account, limits)
    audit_flight(account)
    local waiting = redis.call('ZCARD', line_of(account)) + redis.call('ZCARD', LINE_POLL .. account)
    if waiting > 0 or redis.call('EXISTS', PAUSE .. account) == 1 then visit_by(account, NOW) end
    redis.call('ZADD', OPEN, 'NX', NOW, account)
  end
  redis.call('ZADD', TENDED, NOW, account)
end
for _, speaker in ipairs(redis.call('ZRANGEBYSCORE', SPEAKERS, '-inf', NOW - SPEAKER_KEPT, 'LIMIT', 0, MOST_TENDED)) do
  redis.call('ZREM', SPEAKERS, speaker)
  redis.call('DEL', SPEAKER .. speaker)
end
return #accounts
