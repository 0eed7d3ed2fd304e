-- Pauses: nothing of an account is sent until a time, because of something. A pause ends with one request, the
-- probe: if that is taken, the rest follows; if it is refused for the same reason, the pause is twice as long.

local FOR_EVER = 1e15

local function pause_of(account) return P .. 'pause:' .. account end

local function pause_on(account)
  local names = {'cause', 'until', 'probe', 'check', 'probe_until', 'key', 'length', 'since', 'needs', 'cleared'}
  local values = redis.call('HMGET', pause_of(account), unpack(names))
  if not values[1] then return nil end
  local pause = {}
  for at, value in ipairs(values) do pause[names[at]] = value or nil end
  for _, name in ipairs({'until', 'probe_until', 'length', 'since'}) do pause[name] = tonumber(pause[name]) end
  return pause
end

local function reopen(account, why)
  local pause = pause_on(account)
  if not pause then return end
  redis.call('DEL', pause_of(account))
  announce_account(account, 'resumed', {cause = pause.cause, seconds = (NOW - pause.since) / 1000, why = why})
  ring()
end

-- How a claim finds the account: nil if it is open, else the time from which on there is something to do about
-- the pause, and whether that is the provider's word on credits to ask for, or a probe to send.
local function closed(account, key)
  local pause = pause_on(account)
  if not pause then return nil end
  if pause.cause == 'by_hand' and pause['until'] <= NOW then
    reopen(account, 'time')
    return nil
  end
  -- Of a key that the provider refuses, only another key is worth a request.
  if pause.key and pause.key == key and not pause.cleared then return FOR_EVER end
  local at = math.max(pause['until'], pause.probe_until or 0)
  return at, pause.needs and not pause.cleared and 'credits' or 'probe'
end

-- Whether that job may be sent now.
local function held_up(id, account)
  local pause = pause_on(account)
  return pause and pause.probe ~= id
end

-- `what` is the `probe`, a job, or the `check` of the credits, which has a number.
local function try_with(what, id, account, lease)
  redis.call('HSET', pause_of(account), what, id, 'probe_until', int(NOW + lease))
end

local function nothing_tried(account)
  redis.call('HDEL', pause_of(account), 'probe', 'check', 'probe_until')
end

-- The account's probe has come to nothing: the next one may follow after `delay`.
local function no_probe(id, delay)
  local account = get(id, 'account')
  local pause = account and pause_on(account)
  if not pause or pause.probe ~= id then return end
  nothing_tried(account)
  if pause['until'] < NOW + delay then redis.call('HSET', pause_of(account), 'until', int(NOW + delay)) end
  ring()
end

-- A grant that was not used: its permit and its place are free again, and another job may be the probe.
local function take_back(id)
  local account, number = get(id, 'place', 'lease')
  if not account then return end
  return_permit(creates_of(account), id .. ':' .. number)
  no_probe(id, 0)
  leave_flight(id)
end

-- What the provider answered to that job shows that the reason of the pause is over.
local function probe_succeeded(id)
  local account = get(id, 'account')
  local pause = account and pause_on(account)
  if pause and pause.probe == id then reopen(account, 'probe') end
end

-- The provider refused that job for another reason than the pause's. It is no longer in maintenance then, and not
-- too busy; but of credits that tells nothing, since it looks at the request first (contract 1.4).
local function probe_refused(id)
  local account = get(id, 'account')
  local pause = account and pause_on(account)
  if pause and (pause.needs or pause.cause == 'key_capped') then
    no_probe(id, pause.length)
  else
    probe_succeeded(id)
  end
end

-- Closes the account. `why`: cause, error, base, cap and least in milliseconds; `key` of a key that is refused,
-- `needs` if credits are what is missing. Returns the milliseconds that are left of the pause.
local function pause(account, why, id)
  local now = pause_on(account)
  local length = why.base
  if now then
    local probed = now.probe == id and id
    if probed then no_probe(id, 0) end
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
  redis.call('HSET', pause_of(account), 'cause', why.cause, 'until', int(NOW + length), 'length', int(length),
    'error', cjson.encode(why.error or {}), 'since', int(now and now.since or NOW))
  -- A probe for another cause tells nothing of this one.
  redis.call('HDEL', pause_of(account), 'cleared', 'key', 'needs')
  nothing_tried(account)
  if why.key then redis.call('HSET', pause_of(account), 'key', why.key) end
  if why.needs then redis.call('HSET', pause_of(account), 'needs', why.needs) end
  -- A key that is refused is not tried again when a time is over.
  announce_account(account, 'paused', {cause = why.cause, seconds = not why.key and length / 1000 or nil,
    error = why.error, job = id})
  return length
end
