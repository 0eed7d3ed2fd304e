-- Takes what may happen now, and leases each step to the caller. Returns {steps, newer, wait}: steps as
-- {id, step, lease} triples, ids of records that are too new, and the milliseconds until there is more to do
-- (-1: not before the bell rings).

local steps, newer = {}, {}

local function lease(id, step)
  local number = redis.call('HINCRBY', record(id), 'lease', 1)
  if step == 'look' then redis.call('HSET', record(id), 'looking', int(NOW)) end
  redis.call('ZADD', DUE, int(NOW + (step == 'look' and A.look_lease or A.lease)), id)
  steps[#steps + 1] = {id, step, number}
  return number
end

-- Out of the way of this version's claims, and back in sight of the newer workers' soon.
local function leave_to_newer(id)
  redis.call('ZADD', DUE, int(NOW + A.lease), id)
  newer[#newer + 1] = id
end

local due = redis.call('ZRANGEBYSCORE', DUE, '-inf', int(NOW), 'LIMIT', 0, A.batch)
for _, id in ipairs(due) do
  local v, state, stored = get(id, 'v', 'state', 'stored')
  if not v then
    redis.call('ZREM', DUE, id)
  elseif tonumber(v) > VERSION then
    leave_to_newer(id)
  elseif state == 'queued' then
    redis.call('ZREM', DUE, id)
    leave_flight(id)
    queue_up(id)
  elseif state == 'generating' then
    local score = redis.call('ZSCORE', DUE, id)
    redis.call('ZREM', DUE, id)
    redis.call('ZADD', LOOK, score, id)
  elseif stored then
    -- The quiet look of a job that has ended: those that somebody waits for go before.
    redis.call('ZREM', DUE, id)
    redis.call('ZADD', LOOK, int(NOW + AHEAD), id)
  else
    lease(id, 'settle')
  end
end

-- How many permits are free in the window, and if none, when the next one will be.
local function free(window, limit, span)
  redis.call('ZREMRANGEBYSCORE', window, '-inf', int(NOW - span))
  return limit - redis.call('ZCARD', window)
end

local function reopens(window, limit, span)
  local oldest = redis.call('ZRANGE', window, -limit, -limit, 'WITHSCORES')
  return oldest[2] and oldest[2] + span + 1 or NOW
end

local function grant(line, window, step, count)
  if count < 1 then return end
  for _, id in ipairs(redis.call('ZRANGE', line, 0, count - 1)) do
    redis.call('ZREM', line, id)
    local v = tonumber(get(id, 'v'))
    if v and v > VERSION then
      leave_to_newer(id)
    elseif v then
      redis.call('ZADD', window, int(NOW), id .. ':' .. lease(id, step))
      if step == 'create' then redis.call('SADD', IN_FLIGHT, id) end
    end
  end
end

local paused = tonumber(redis.call('GET', P .. 'paused') or 0) or 0
local room = A.max_in_flight - redis.call('SCARD', IN_FLIGHT)
if paused <= NOW then
  grant(CREATE, CREATES, 'create', math.min(free(CREATES, A.creates, A.creates_span), room, A.batch))
end
grant(LOOK, LOOKS, 'look', math.min(free(LOOKS, A.looks, A.looks_span), A.batch))

local wake = {}
local head = redis.call('ZRANGE', DUE, 0, 0, 'WITHSCORES')[2]
if head then wake[#wake + 1] = tonumber(head) end
if redis.call('ZCARD', LOOK) > 0 then wake[#wake + 1] = reopens(LOOKS, A.looks, A.looks_span) end
if redis.call('ZCARD', CREATE) > 0 and redis.call('SCARD', IN_FLIGHT) < A.max_in_flight then
  wake[#wake + 1] = math.max(reopens(CREATES, A.creates, A.creates_span), paused)
end
local wait = #wake > 0 and math.max(0, math.min(unpack(wake)) - NOW) or -1
return {steps, newer, math.floor(wait)}
