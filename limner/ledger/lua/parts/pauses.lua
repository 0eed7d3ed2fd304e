-- Uses: record, wakeup, journal, quota.
-- Pauses: nothing of an account is sent until a time, because of something. A pause ends with one request, the
-- probe: if that is taken, the rest follows; if it is refused for the same reason, the pause is twice as long.

local function pause_on(account)
  local names = {'cause', 'until', 'probe', 'check', 'probe_until', 'key', 'length', 'since', 'needs', 'cleared'}
  local values = redis.call('HMGET', PAUSE .. account, unpack(names))
  if not values[1] then return nil end
  local pause = {}
  for at, value in ipairs(values) do pause[names[at]] = value or nil end
  for _, name in ipairs({'until', 'probe_until', 'length', 'since'}) do pause[name] = tonumber(pause[name]) end
  return pause
end

-- Something may be done about the account from that time on.
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

-- Returns nil if the account is open; else when something can be done about the pause, and how: ask for `credits`, send
-- a `probe`, or wait for another `key`. A pause by hand whose time is over ends here.
local function closed_until(account, key)
  local pause = pause_on(account)
  if not pause then return nil end
  if pause.cause == 'by_hand' and pause['until'] <= NOW then
    reopen(account, 'time')
    return nil
  end
  -- Of a key that the provider refuses, only another key is worth a request.
  if pause.key and pause.key == key and not pause.cleared then return FOR_EVER, 'key' end
  local at = math.max(pause['until'], pause.probe_until or 0)
  return at, pause.needs and not pause.cleared and 'credits' or 'probe'
end

-- `what` is the `probe`, a job, or the `check` of the credits, which has a number.
local function try_with(what, id, account, lease)
  redis.call('HSET', PAUSE .. account, what, id, 'probe_until', int(NOW + lease))
end

local function nothing_tried(account)
  redis.call('HDEL', PAUSE .. account, 'probe', 'check', 'probe_until')
end

-- The account's probe has come to nothing: the next one may follow after `delay`.
local function give_up_probe(job, delay)
  local account = job.account
  local pause = account and pause_on(account)
  if not pause or pause.probe ~= job.id then return end
  nothing_tried(account)
  if pause['until'] < NOW + delay then redis.call('HSET', PAUSE .. account, 'until', int(NOW + delay)) end
  try_at(account, NOW + delay)
  notify()
end

-- A grant that was not used: its permit and its place are free again, and another job may be the probe.
local function take_back(job)
  local account = job.slot
  if not account then return end
  return_permit(WINDOW_CREATE .. account, permit_of_lease(job), account)
  give_up_probe(job, 0)
  leave_flight(job)
end

-- What the provider answered to that job shows that the reason of the pause is over.
local function end_pause_of_probe(job)
  local account = job.account
  local pause = account and pause_on(account)
  if pause and pause.probe == job.id then reopen(account, 'probe') end
end

-- The provider refused that job for another reason than the pause's. It is no longer in maintenance then, and not
-- too busy; but of credits that tells nothing, since it polls the request first (contract 1.4).
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

-- Closes the account. `why`: cause, error, base, cap and least in milliseconds; `key` of a key that is refused,
-- `needs` if credits are what is missing. Returns the milliseconds that are left of the pause.
local function close(account, why, job)
  local now = pause_on(account)
  local length = why.base
  if now then
    local probed = now.probe == job.id and job.id
    if probed then give_up_probe(job, 0) end
    -- Requests that were on the wire when the account was closed tell nothing new.
    if now.cause == 'by_hand' or (not probed and now.cause == why.cause)
      or (now.cause ~= why.cause and now['until'] - NOW >= length) then
      return math.max(0, now['until'] - NOW)
    end
    if probed and now.cause == why.cause then
      -- A person's trial does not make the pause longer.
      length = now.cleared and now.length or math.min(why.cap, 2 * (now.length or why.base))
    end
  end
  length = math.max(length, math.min(why.least or 0, why.cap))
  redis.call('HSET', PAUSE .. account, 'cause', why.cause, 'until', int(NOW + length), 'length', int(length),
    'error', cjson.encode(why.error or {}), 'since', int(now and now.since or NOW))
  -- A probe for another cause tells nothing of this one.
  redis.call('HDEL', PAUSE .. account, 'cleared', 'key', 'needs')
  nothing_tried(account)
  if why.key then redis.call('HSET', PAUSE .. account, 'key', why.key) end
  if why.needs then redis.call('HSET', PAUSE .. account, 'needs', int(why.needs)) end
  visit_by(account, NOW + length)
  -- A key that is refused is not tried again when a time is over.
  announce_account(account, 'paused', {cause = why.cause, seconds = not why.key and length / 1000 or nil,
    error = why.error, job = job.id})
  return length
end
