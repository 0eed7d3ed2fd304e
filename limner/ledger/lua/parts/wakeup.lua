-- When something happens next, and who is told.

-- Wakes one dispatcher: they sleep on this list, and one wake-up is enough for all that is due.
local function notify()
  if redis.call('LLEN', WAKEUP) == 0 then redis.call('LPUSH', WAKEUP, '1') end
end

-- No dispatcher sleeps longer than a nap, so only what is due before that has to wake one.
local function schedule(job, at)
  redis.call('ZADD', DUE, at, job.id)
  if at < NOW + LONGEST_NAP and redis.call('ZRANGE', DUE, 0, 0)[1] == job.id then notify() end
end

-- A claim visits the account at that time, at the latest: it has something of its own to do then.
local function visit_by(account, at)
  redis.call('ZADD', ACTIVE, 'LT', at, account)
end

-- The account can send again. Returns whether that is sooner than expected, so that somebody may wait for it.
local function open_account(account)
  if redis.call('ZADD', OPEN, 'XX', 'LT', 'CH', NOW, account) == 0 then return false end
  redis.call('ZADD', ACTIVE, 'XX', 'LT', NOW, account)
  return true
end
