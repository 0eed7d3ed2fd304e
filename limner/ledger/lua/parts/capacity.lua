-- Uses: quota, pauses, ready.
-- The accounts that a claim visits, and what they have capacity for.
--
-- Two indexes tell which to visit, so that a claim costs what it finds, however many accounts there are: `active` has
-- those that have something of their own to do, by when (a job that names the account, a poll, the end of a pause),
-- and `open` has each account by when it may send again, for the jobs of the common queue.

-- What the account has capacity for now. An account whose balance is to be asked for has a step of its own: `ask`.
-- Nothing of an account whose key is refused, unless polls are `wanted`: it stays in sight of workers with another key.
local function capacity_of(account, key, ask, wanted)
  local at, way = closed_until(account, key)
  if way == 'key' and not wanted and redis.call('ZCARD', READY_POLLS .. account) == 0 then return nil end
  local limits = limits_of(account)
  if not limits then
    -- Somebody has removed them: the registration registers anew with its next claim.
    redis.call('ZREM', REGISTRATIONS, A.registration)
    return nil
  end
  raise_limit(account, limits)
  local places = limits.max_in_flight - redis.call('ZCARD', IN_FLIGHT .. account)
  local used = counted(WINDOW_CREATE .. account, create_edge(limits))
  local capacity = {account = account, limits = limits, places = places, next = 1, free = math.min(limits.limit - used, places)}
  if not at then return capacity end
  capacity.closed, capacity.way = at, way
  if at > NOW then
    capacity.free = 0
  elseif way == 'credits' then
    capacity.free, capacity.closed = 0, NOW + A.lease
    ask(account)
  else
    capacity.free, capacity.probes = math.min(capacity.free, 1), true
  end
  return capacity
end

-- Calls `visit` with the accounts of an index that are due and that the registration serves, and the names of their
-- keys, until it wants no more.
local function each_due(index, visit)
  local from = 0
  repeat
    local accounts = redis.call('ZRANGEBYSCORE', index, '-inf', NOW, 'LIMIT', from, PIECE)
    local keys = #accounts > 0 and redis.call('HMGET', REGISTRATION .. A.registration, unpack(accounts)) or {}
    for at, account in ipairs(accounts) do
      if keys[at] and not visit(account, keys[at]) then return end
    end
    from = from + PIECE
  until #accounts < PIECE
end

-- Notes when to visit the account again, and returns when that is worth waking up for. `common` says whether jobs wait
-- that any account may send.
local function plan_next_visit(capacity, common)
  local account, limits = capacity.account, capacity.limits
  local polls, own = READY_POLLS .. account, redis.call('ZCARD', ready_of(account)) > 0
  local again, wake = {}, {}
  if redis.call('ZCARD', polls) > 0 then
    local reads = next_permit_at(WINDOW_POLL .. account, limits.polls, poll_edge(limits))
    again[#again + 1], wake[#wake + 1] = reads, reads + 1
  end

  local sends = FOR_EVER
  if capacity.places > 0 then
    sends = next_permit_at(WINDOW_CREATE .. account, limits.limit, create_edge(limits))
    if limits.limit < limits.creates then sends = math.min(sends, limits.raise_at or NOW) end
  end
  sends = math.max(sends, capacity.closed or 0)
  if (own or common) and sends < FOR_EVER then wake[#wake + 1] = sends <= NOW and NOW or sends + 1 end
  -- A worker with another key may be the next to come by.
  if capacity.way == 'key' then sends = NOW end
  redis.call('ZADD', OPEN, sends, account)
  if own then again[#again + 1] = sends end
  if capacity.closed and capacity.closed > NOW and capacity.closed < FOR_EVER then
    again[#again + 1] = capacity.closed
    if capacity.way == 'credits' then wake[#wake + 1] = capacity.closed end
  end

  if #again > 0 then
    redis.call('ZADD', ACTIVE, math.min(unpack(again)), account)
  else
    redis.call('ZREM', ACTIVE, account)
  end
  return #wake > 0 and math.min(unpack(wake)) or FOR_EVER
end
