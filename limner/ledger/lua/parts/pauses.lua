-- Uses: record, wakeup, journal, quota.
-- Pauses: nothing of an account is sent until a time, for a cause. A pause ends with a single request, the probe. If
-- the probe is accepted, the other jobs follow. If it is refused for the same cause, the pause starts anew, twice as
-- long.

local function pause_on(account)
  local names = {'cause', 'until', 'probe', 'check', 'probe_until', 'key', 'length', 'since', 'needs', 'cleared'}
  local values = redis.call('HMGET', PAUSE .. account, unpack(names))
  if not values[1] then return nil end
  local pause = {}
  for at, value in ipairs(values) do pause[names[at]] = value or nil end
  for _, name in ipairs({'until', 'probe_until', 'length', 'since', 'needs'}) do
    pause[name] = sane(pause[name], 0, FOR_EVER)
  end
  -- Without these, a damaged pause would have no end.
  pause['until'], pause.since = pause['until'] or NOW, pause.since or NOW
  pause.length = pause.length or LONGEST_NAP
  return pause
end

-- Makes claims visit the account from that time on, since a probe or a check of its balance may be possible then.
local function try_at(account, at)
  redis.call('ZADD', OPEN, 'XX', 'LT', at, account)
  visit_by(account, at)
end

local function reopen(account, why)
  local pause = pause_on(account)
  if not pause then return end
  redis.call('DEL', PAUSE .. account)
  announce_account(account, 'resumed', {cause = pause.cause, seconds = (NOW - pause.since) / 1000, why = why})
  try_at(account, NOW)
  notify()
end

-- Returns nil if the account is open. Otherwise returns when the pause may be ended, and by what: `credits` (a check
-- of the balance), `probe`, or another `key`. A pause by hand that has expired is removed here.
local function closed_until(account, key)
  local pause = pause_on(account)
  if not pause then return nil end
  if pause.cause == 'by_hand' and pause['until'] <= NOW then
    reopen(account, 'time')
    return nil
  end
  -- A key that the provider has refused will be refused again.
  if pause.key and pause.key == key and not pause.cleared then return FOR_EVER, 'key' end
  local at = math.max(pause['until'], pause.probe_until or 0)
  return at, pause.needs and not pause.cleared and 'credits' or 'probe'
end

-- Records an attempt to end the pause. `what` is 'probe', with a job's id, or 'check', with the number of a balance
-- check.
local function try_with(what, id, account, lease)
  redis.call('HSET', PAUSE .. account, what, id, 'probe_until', int(NOW + lease))
end

local function nothing_tried(account)
  redis.call('HDEL', PAUSE .. account, 'probe', 'check', 'probe_until')
end

-- Discards the account's probe if it is this job. The next probe may follow after `delay`.
local function give_up_probe(job, delay)
  local account = job.account
  local pause = account and pause_on(account)
  if not pause or pause.probe ~= job.id then return end
  nothing_tried(account)
  if pause['until'] < NOW + delay then redis.call('HSET', PAUSE .. account, 'until', int(NOW + delay)) end
  try_at(account, NOW + delay)
  notify()
end

-- Takes an unused grant back. Its permit and its slot are free again, and another job may be the probe.
local function take_back(job)
  local account = job.slot
  if not account then return end
  return_permit(WINDOW_CREATE .. account, permit_of_lease(job), account)
  give_up_probe(job, 0)
  leave_flight(job)
end

-- Ends the pause if this job is its probe: the provider's answer shows that the cause is gone.
local function end_pause_of_probe(job)
  local account = job.account
  local pause = account and pause_on(account)
  if pause and pause.probe == job.id then reopen(account, 'probe') end
end

-- Handles a probe that was refused for another cause than the pause's. The provider is then no longer in maintenance
-- or too busy. It says nothing about credits, since the provider checks the request before the credits (contract
-- 1.4).
local function end_probe_refused(job)
  local account = job.account
  local pause = account and pause_on(account)
  if not pause or pause.probe ~= job.id then return end
  if pause.needs or pause.cause == 'key_capped' then
    give_up_probe(job, pause.length)
  else
    reopen(account, 'probe')
  end
end

-- Closes the account. `why` has cause and error; base, cap and least in milliseconds; `key`, the name of a refused
-- key; `needs`, the credits that are missing. Returns the milliseconds that are left of the pause.
local function close(account, why, job)
  local now = pause_on(account)
  local length = why.base
  if now then
    local probed = now.probe == job.id and job.id
    if probed then give_up_probe(job, 0) end
    -- Refusals of requests that were on the wire when the account was closed are no news.
    if now.cause == 'by_hand' or (not probed and now.cause == why.cause)
      or (now.cause ~= why.cause and now['until'] - NOW >= length) then
      return math.max(0, now['until'] - NOW)
    end
    if probed and now.cause == why.cause then
      -- A probe after a person's `resume` does not make the pause longer.
      length = now.cleared and now.length or math.min(why.cap, 2 * (now.length or why.base))
    end
  end
  length = math.max(length, math.min(why.least or 0, why.cap))
  redis.call('HSET', PAUSE .. account, 'cause', why.cause, 'until', int(NOW + length), 'length', int(length),
    'error', cjson.encode(why.error or {}), 'since', int(now and now.since or NOW))
  -- A probe for another cause says nothing about this one.
  redis.call('HDEL', PAUSE .. account, 'cleared', 'key', 'needs')
  nothing_tried(account)
  if why.key then redis.call('HSET', PAUSE .. account, 'key', why.key) end
  if why.needs then redis.call('HSET', PAUSE .. account, 'needs', int(why.needs)) end
  visit_by(account, NOW + length)
  -- A pause for a refused key does not end after a time.
  announce_account(account, 'paused', {cause = why.cause, seconds = not why.key and length / 1000 or nil,
    error = why.error, job = job.id})
  return length
end
