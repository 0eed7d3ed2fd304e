-- Uses: quota, pauses, ready, epoch.
-- Capacity: the accounts that a claim visits, and what each of them can take now.
--
-- Two indexes say which accounts to visit, so that the cost of a claim depends on what it finds and not on the number
-- of accounts. `active` has the accounts with something of their own to do (a job that names the account, a poll, the
-- end of a pause), scored by when. `open` has every account, scored by when it may send again, for jobs of the common
-- queue.

-- Returns the account's capacity. Calls `ask` for an account whose balance has to be read first. Returns nil for an
-- account without limits, and for one whose key is refused, unless it has polls (`polls_due`) or its check is due: it
-- stays in the indexes for workers with another key.
local function capacity_of(account, key, ask, polls_due, epoch)
  local at, way = closed_until(account, key)
  if way == 'key' and at > NOW and not polls_due and redis.call('ZCARD', READY_POLLS .. account) == 0 then return nil end
  local limits = limits_of(account)
  if not limits then
    -- The limits were removed. Without its registration, the worker registers again with its next claim.
    redis.call('ZREM', REGISTRATIONS, A.registration)
    return nil
  end
  raise_limit(account, limits)
  local slots = flight_limit(account, limits) - redis.call('ZCARD', IN_FLIGHT .. account)
  local used = counted(WINDOW_CREATE .. account, create_edge(limits))
  local capacity = {account = account, limits = limits, slots = slots, next = 1}
  capacity.free = math.min(limits.limit - used, slots, limits.ramp or limits.limit)
  local quiet = quiet_until(epoch, limits)
  if quiet > NOW then
    capacity.free, capacity.closed = 0, math.max(quiet, at or 0)
    return capacity
  end
  if not at then
    if capacity.free > 0 and stalled(account, limits) then capacity.free, capacity.stalled = 0, true end
    return capacity
  end
  capacity.closed, capacity.way = at, way
  if at > NOW then
    capacity.free = 0
  elseif way == 'credits' or way == 'key' then
    capacity.free, capacity.closed = 0, NOW + A.lease
    ask(account)
  else
    capacity.free, capacity.probes = math.min(capacity.free, 1), true
  end
  return capacity
end

-- Calls `visit(account, key)` for each due account of an index that the registration serves, until `visit` returns
-- false. `key` is the name of the account's key.
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

-- Writes the account's next visit to the indexes, and returns the time at which a dispatcher should wake up for it.
-- `common` is true if the common queue has jobs.
local function plan_next_visit(capacity, common)
  local account, limits = capacity.account, capacity.limits
  local polls, own = READY_POLLS .. account, redis.call('ZCARD', ready_of(account)) > 0
  local again, wake = {}, {}
  if redis.call('ZCARD', polls) > 0 then
    local reads = next_permit_at(WINDOW_POLL .. account, limits.polls, poll_edge(limits))
    again[#again + 1], wake[#wake + 1] = reads, reads + 1
  end

  local sends = FOR_EVER
  if capacity.slots <= 0 and (limits.flight or FOR_EVER) < limits.max_in_flight then
    sends = limits.flight_raise_at or NOW
  elseif capacity.slots > 0 then
    sends = next_permit_at(WINDOW_CREATE .. account, limits.limit, create_edge(limits))
    if limits.limit < limits.creates then sends = math.min(sends, limits.raise_at or NOW) end
  end
  if limits.ramp == 0 then sends = math.max(sends, limits.ramp_until) end
  if capacity.stalled then sends = math.max(sends, NOW + LONGEST_NAP) end
  sends = math.max(sends, capacity.closed or 0)
  if (own or common) and sends < FOR_EVER then wake[#wake + 1] = sends <= NOW and NOW or sends + 1 end
  -- The next claim may come from a worker with another key.
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
