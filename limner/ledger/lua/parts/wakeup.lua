-- The time of each job's and account's next step, and the wake-up of a dispatcher.

-- Wakes one dispatcher. Dispatchers sleep on this list, and a single one claims everything that is due.
local function notify()
  if redis.call('LLEN', WAKEUP) == 0 then redis.call('LPUSH', WAKEUP, '1') end
end

-- Makes a job due at that time. No dispatcher sleeps longer than LONGEST_NAP, so a later time needs no wake-up.
local function schedule(job, at)
  redis.call('ZADD', DUE, at, job.id)
  if at < NOW + LONGEST_NAP and redis.call('ZRANGE', DUE, 0, 0)[1] == job.id then notify() end
end

-- Makes claims visit the account at that time at the latest, since it has something of its own to do then.
local function visit_by(account, at)
  redis.call('ZADD', ACTIVE, 'LT', at, account)
end

-- Records that the account can send again. Returns true if that is sooner than planned: a job may be waiting for it.
local function open_account(account)
  if redis.call('ZADD', OPEN, 'XX', 'LT', 'CH', NOW, account) == 0 then return false end
  redis.call('ZADD', ACTIVE, 'XX', 'LT', NOW, account)
  return true
end
