-- Takes what may happen now, and leases each step to the caller, who speaks for the accounts in `quotas`. Returns
-- {steps, newer, wait}: steps as {id, step, lease} triples, ids of records that are too new, and the milliseconds
-- until there is more to do (-1: not before the bell rings). A step `credits` is about an account, and not a job.

-- How precisely it is told when an account was last claimed for.
local CLAIMED_EVERY = 5000

local steps, newer, wake = {}, {}, {}

local function lease(id, step, span)
  local number = redis.call('HINCRBY', record(id), 'lease', 1)
  redis.call('ZADD', DUE, int(NOW + span), id)
  steps[#steps + 1] = {id, step, number}
  return number
end

-- Out of the way of this version's claims, and back in sight of the newer workers' soon.
local function leave_to_newer(id)
  redis.call('ZADD', DUE, int(NOW + A.lease), id)
  newer[#newer + 1] = id
end

local function is_newer(v) return tonumber(v) > VERSION end

-- What is not sent by its time is not sent any more. A job on the wire comes back to this index if it is refused.
for _, id in ipairs(redis.call('ZRANGEBYSCORE', EXPIRING, '-inf', int(NOW), 'LIMIT', 0, A.batch)) do
  local v, state = get(id, 'v', 'state')
  redis.call('ZREM', EXPIRING, id)
  if v and is_newer(v) then
    redis.call('ZADD', EXPIRING, int(NOW + A.lease), id)
  elseif state == 'queued' then
    end_in(id, 'expired', A.expired)
  end
end

-- What is due goes on by itself, or into the line for the permit that it takes.
local due = redis.call('ZRANGEBYSCORE', DUE, '-inf', int(NOW), 'WITHSCORES', 'LIMIT', 0, A.batch)
for place = 1, #due, 2 do
  local id, at = due[place], due[place + 1]
  local v, state, stored = get(id, 'v', 'state', 'stored')
  if not v then
    redis.call('ZREM', DUE, id)
  elseif is_newer(v) then
    leave_to_newer(id)
  elseif state == 'queued' then
    redis.call('ZREM', DUE, id)
    take_back(id)
    queue_up(id, at)
  elseif state == 'generating' then
    redis.call('ZREM', DUE, id)
    queue_look(id, at)
  elseif stored then
    -- The quiet look of a job that has ended: those that somebody waits for go before.
    redis.call('ZREM', DUE, id)
    redis.call('ZADD', look_line(reader_of(id)), int(NOW + AHEAD), id)
  else
    lease(id, 'settle', A.lease)
  end
end

try_parked()

-- What each account has room for.

local function adopt_limits(quota)
  local given = {'creates', quota.creates, 'creates_span', quota.creates_span, 'looks', quota.looks,
    'looks_span', quota.looks_span, 'max_in_flight', quota.max_in_flight, 'first_guard', quota.guard}
  local known = redis.call('HMGET', quota_of(quota.account), 'creates', 'creates_span', 'looks', 'looks_span',
    'max_in_flight', 'first_guard', 'claimed')
  local same = NOW - (tonumber(known[7]) or 0) < CLAIMED_EVERY
  for at = 1, 6 do same = same and tonumber(known[at]) == given[2 * at] end
  if same then return end
  -- What was learned to be left of another quota says nothing of this one.
  if tonumber(known[1]) ~= quota.creates then redis.call('HDEL', quota_of(quota.account), 'limit', 'raise_at', 'patience') end
  redis.call('HSET', quota_of(quota.account), 'claimed', int(NOW), unpack(given))
  redis.call('SADD', P .. 'accounts', quota.account)
end

local function room_of(quota)
  local account = quota.account
  adopt_limits(quota)
  forget_permits(account, quota)
  audit_flight(account)
  local limits = limits_of(account)
  raise_limit(account, limits)
  local edge = create_edge(limits)
  local places = limits.max_in_flight - redis.call('ZCARD', flight_of(account))
  local room = {account = account, limits = limits, places = places, next = 1,
    free = math.min(limits.limit - counted(creates_of(account), edge), places)}
  local at, way = closed(account, quota.key)
  if not at then return room end
  room.closed, room.asks = at, way == 'credits'
  if at > NOW then
    room.free = 0
  elseif way == 'credits' then
    room.free = 0
    local number = redis.call('INCR', P .. 'checks')
    try_with('check', number, account, A.lease)
    steps[#steps + 1] = {account, 'credits', number}
    room.closed = NOW + A.lease
  else
    room.free, room.probes = math.min(room.free, 1), true
  end
  return room
end

local rooms, total = {}, 0
for _, quota in ipairs(A.quotas) do
  local room = room_of(quota)
  rooms[#rooms + 1] = room
  total = total + math.max(0, room.free)
end
total = math.min(total, A.batch)

-- The jobs in front of a line, as {id, score} pairs.
local function front(line, count)
  local found = count > 0 and redis.call('ZRANGE', line, 0, count - 1, 'WITHSCORES') or {}
  local jobs = {}
  for at = 1, #found, 2 do jobs[#jobs + 1] = {found[at], tonumber(found[at + 1])} end
  return jobs
end

-- More than may be sent, since there may be no money for some.
local function in_front(line, count) return front(line, count > 0 and A.caps and count + A.batch or count) end

local common, next_common = in_front(CREATE, total), 1
for _, room in ipairs(rooms) do
  room.own = in_front(line_of(room.account), math.min(math.max(0, room.free), total))
end

-- The account with the most room takes the next job: the first of the common line or of its own.
local function roomiest()
  local best
  for _, room in ipairs(rooms) do
    local more = room.free > 0 and (room.own[room.next] or common[next_common])
    if more and (not best or room.free > best.free) then best = room end
  end
  return best
end

local function take(room)
  local own, any = room.own[room.next], common[next_common]
  if own and (not any or own[2] <= any[2]) then
    room.next = room.next + 1
    return own
  end
  next_common = next_common + 1
  return any
end

local over = {}
local function send(id, room)
  leave_line(id)
  local v, priority, turn = get(id, 'v', 'priority', 'turn')
  if not v then
    -- Nothing is left that would say in which line it stood.
    redis.call('ZREM', line_of(room.account), id)
    return false
  end
  if is_newer(v) then
    leave_to_newer(id)
    return false
  end
  local cap, always = over_budget(id, cost_of(id))
  if cap then
    over_the_cap(id, cap, always)
    return false
  end
  local number = lease(id, 'create', A.lease)
  redis.call('HSET', record(id), 'account', room.account)
  redis.call('ZADD', creates_of(room.account), int(NOW), id .. ':' .. number)
  enter_flight(id, room.account)
  if room.probes then
    try_with('probe', id, room.account, A.lease)
    room.closed = NOW + A.lease
  end
  over[priority] = math.max(over[priority] or 0, tonumber(turn))
  return true
end

while total > 0 do
  local room = roomiest()
  if not room then break end
  if send(take(room)[1], room) then
    room.free, room.places, total = room.free - 1, room.places - 1, total - 1
  end
end
for priority, turn in pairs(over) do turn_over(priority, turn) end

for _, room in ipairs(rooms) do
  local account, limits = room.account, room.limits
  local window, edge, line = looks_of(account), look_edge(limits), look_line(account)
  local count = math.min(limits.looks - counted(window, edge), A.batch)
  for _, look in ipairs(front(line, count)) do
    local id = look[1]
    redis.call('ZREM', line, id)
    local v = get(id, 'v')
    if v and is_newer(v) then
      leave_to_newer(id)
    elseif v then
      redis.call('HSET', record(id), 'looking', int(NOW))
      redis.call('ZADD', window, int(NOW), id .. ':' .. lease(id, 'look', A.look_lease))
    end
  end
  if redis.call('ZCARD', line) > 0 then wake[#wake + 1] = reopens(window, limits.looks, edge) end
  local waiting = redis.call('ZCARD', CREATE) + redis.call('ZCARD', line_of(account)) > 0
  if waiting and room.places > 0 then
    local at = reopens(creates_of(account), limits.limit, create_edge(limits))
    wake[#wake + 1] = math.max(at, room.closed or 0)
  elseif room.asks then
    wake[#wake + 1] = room.closed
  end
end

local soonest = redis.call('ZRANGE', DUE, 0, 0, 'WITHSCORES')[2]
if soonest then wake[#wake + 1] = tonumber(soonest) end
local parked = redis.call('ZRANGE', PARKED, 0, 0, 'WITHSCORES')[2]
if parked then wake[#wake + 1] = tonumber(parked) end
local expiry = redis.call('ZRANGE', EXPIRING, 0, 0, 'WITHSCORES')[2]
if expiry then wake[#wake + 1] = tonumber(expiry) end
local wait = #wake > 0 and math.max(0, math.min(unpack(wake)) - NOW) or -1
return {steps, newer, math.floor(wait)}
