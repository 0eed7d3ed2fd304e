-- When something happens next, and who is told.

-- Wakes one clock: they sleep on this list, and one wake-up is enough for all that is due.
local function ring()
  if redis.call('LLEN', BELL) == 0 then redis.call('LPUSH', BELL, '1') end
end

-- No clock sleeps longer than a nap, so only what is due before that has to wake one.
local function schedule(job, at)
  redis.call('ZADD', DUE, at, job.id)
  if at < NOW + LONGEST_NAP and redis.call('ZRANGE', DUE, 0, 0)[1] == job.id then ring() end
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
