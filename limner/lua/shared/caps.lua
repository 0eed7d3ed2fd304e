-- The caps on what may be spent on a day, in all and by lane, and the jobs that wait for money.

local TRY_PARKED, TRY_PARKED_EVERY = 100, 60000

-- Which cap the job would break now: 'day', 'lane', or none; and whether it is dearer than all of that cap.
local function over_budget(id, amount)
  local caps = A.caps
  if not caps or amount == 0 then return nil end
  local function used(suffix)
    local held, spent = redis.call('HGET', HELD, 'held' .. suffix), redis.call('HGET', money_of(NOW), 'spent' .. suffix)
    return (tonumber(spent) or 0) + (tonumber(held) or 0)
  end
  if caps.day and used('') + amount > caps.day then return 'day', amount > caps.day end
  local lane = get(id, 'lane')
  local cap = caps.lanes and lane and caps.lanes[lane] or caps.lane
  if cap and lane and used(':lane:' .. lane) + amount > cap then return 'lane', amount > cap end
end

-- Parked jobs come back when the day is over, or some of what is held may be free again.
local function try_parked_at()
  return int(math.min((math.floor(NOW / DAY_MS) + 1) * DAY_MS, NOW + TRY_PARKED_EVERY))
end

-- A job that would break that cap waits apart, or fails if it is set so, or if waiting cannot help.
local function over_the_cap(id, cap, always)
  if get(id, 'over') ~= cap then
    redis.call('HSET', record(id), 'over', cap)
    announce(id, 'over_budget', {cap = cap})
  end
  if A.caps.refuse or always then
    end_in(id, 'failed', A.caps.refuse or A.caps.never)
    return
  end
  local name = cap == 'day' and 'day' or 'lane:' .. get(id, 'lane')
  redis.call('HSET', record(id), 'parked', name)
  redis.call('ZADD', PARKED .. ':' .. name, place_in_line(id), id)
  redis.call('ZADD', PARKED, 'NX', try_parked_at(), name)
end

-- As many as there is money for go back to their places in line.
local function try_parked()
  for _, name in ipairs(redis.call('ZRANGEBYSCORE', PARKED, '-inf', int(NOW), 'LIMIT', 0, 10)) do
    local parked, promised, left = PARKED .. ':' .. name, 0, false
    for _, id in ipairs(redis.call('ZRANGE', parked, 0, TRY_PARKED - 1)) do
      local v = tonumber(get(id, 'v'))
      local cost = v and v <= VERSION and cost_of(id) or 0
      local cap, never = over_budget(id, cost)
      if not v then
        redis.call('ZREM', parked, id)
      elseif never then
        -- The cap has been lowered meanwhile.
        over_the_cap(id, cap, true)
      elseif over_budget(id, promised + cost) then
        left = true
      else
        promised = promised + cost
        leave_line(id)
        queue_up(id)
      end
    end
    if redis.call('ZCARD', parked) == 0 then
      redis.call('ZREM', PARKED, name)
    else
      redis.call('ZADD', PARKED, left and try_parked_at() or int(NOW), name)
    end
  end
end
