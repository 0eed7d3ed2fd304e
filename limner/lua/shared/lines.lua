-- The lines in which jobs wait for a permit.
--
-- To be sent, a job waits in the common line, or in that of the account it names: the highest priority first, and
-- among equals by turn. Turns are start tags of fair queueing (Goyal, Vin and Cheng 1996): a lane's next job gets
-- the turn after its last one, but none that is over already. So between lanes turns are shared, however many
-- jobs each has, and within one they go in the order of submission. A job keeps its turn through all attempts.
--
-- A job for which there is no money waits apart, by the cap that it would break (caps.lua): nobody behind it waits
-- for its sake.
--
-- To be looked at, it waits in the line of its account: by when it will be overdue by as much as its law
-- allowed between two looks. Of two jobs, that brings the one forward which has waited longer in relation.

local CREATE = P .. 'line:create'
local EXPIRING = P .. 'expiring'
local PARKED = P .. 'parked'
local HINT_PAUSE = 1000
local AHEAD = 60000
local HINTED = -1e12

local function line_of(account) return account and CREATE .. ':' .. account or CREATE end
local function look_line(account) return P .. 'line:look:' .. account end
local function lanes_of(priority) return P .. 'lanes:' .. priority end
local function waiting_of(priority) return P .. 'lanes:waiting:' .. priority end

-- An account's own line may lag behind the others, and there the turn that is next counts as now.
local function next_turn(priority, lane, pinned)
  local now = redis.call('HGET', P .. 'turns:now', priority) or redis.call('GET', P .. 'turns') or 0
  now = tonumber(now)
  if pinned then
    local base = (9 - priority) * 1e14
    local front = redis.call('ZRANGEBYSCORE', line_of(pinned), int(base), int(base + now), 'WITHSCORES', 'LIMIT', 0, 1)
    if front[2] then now = front[2] - base - 1 end
  end
  local lanes = lanes_of(priority)
  local turn = math.max(now, tonumber(redis.call('ZSCORE', lanes, lane)) or 0) + 1
  redis.call('ZADD', lanes, int(turn), lane)
  redis.call('HINCRBY', waiting_of(priority), lane, 1)
  return turn
end

-- A lane of which nothing waits any more to be sent for the first time owes nothing for turns that it did not take.
local function has_waited(id)
  if redis.call('HDEL', record(id), 'waits') == 0 then return end
  local priority, lane = get(id, 'priority', 'lane')
  if redis.call('HINCRBY', waiting_of(priority), lane or '', -1) < 1 then
    redis.call('HDEL', waiting_of(priority), lane or '')
    redis.call('ZREM', lanes_of(priority), lane or '')
  end
end

-- That turn has come: lanes that have no later one need not be remembered.
local function turn_over(priority, turn)
  local now = tonumber(redis.call('HGET', P .. 'turns:now', priority)) or 0
  if turn <= now then return end
  redis.call('HSET', P .. 'turns:now', priority, int(turn))
  redis.call('ZREMRANGEBYSCORE', lanes_of(priority), '-inf', int(turn))
end

-- The time in line, and before that from when it was due, is not the job's own: its deadline is moved by it when it
-- is sent.
local function place_in_line(id)
  local priority, turn = get(id, 'priority', 'turn')
  return int((9 - priority) * 1e14 + turn)
end

local function queue_up(id, since)
  local pinned, deadline = get(id, 'pinned', 'deadline')
  if deadline then redis.call('HSETNX', record(id), 'lined_up', int(since or NOW)) end
  redis.call('ZADD', line_of(pinned), place_in_line(id), id)
end

-- A job that waits again may be too late again.
local function watch_expiry(id)
  local expires = get(id, 'expires')
  if expires then redis.call('ZADD', EXPIRING, expires, id) end
end

local function leave_line(id)
  local pinned, parked = get(id, 'pinned', 'parked')
  redis.call('ZREM', line_of(pinned), id)
  if not parked then return end
  redis.call('ZREM', PARKED .. ':' .. parked, id)
  redis.call('HDEL', record(id), 'parked')
end

-- The account whose key reads the job's next task.
local function reader_of(id)
  return get(id, 'reader') or MAIN
end

-- Into the line, at that place; before all of these if a callback has come since the last look.
local function line_up_look(id, at)
  local hinted, seen = get(id, 'hinted', 'seen')
  local waiting = tonumber(hinted) and tonumber(hinted) >= (tonumber(seen) or 0)
  redis.call('ZADD', look_line(reader_of(id)), int(waiting and hinted + HINTED or at), id)
end

local function queue_look(id, at)
  line_up_look(id, at + (get(id, 'pace') or 0))
end

local function leave_look_line(id)
  redis.call('ZREM', look_line(reader_of(id)), id)
end

-- A look that was claimed and not made waits for another permit.
local function take_back_look(id, at)
  redis.call('ZREM', DUE, id)
  redis.call('HSET', record(id), 'looking', '')
  line_up_look(id, at)
end

-- The next look, in `delay` milliseconds.
local function look_in(id, delay)
  redis.call('HSET', record(id), 'pace', int(delay))
  schedule(id, NOW + delay)
end

-- Looks come before others when the provider has said that there is something to see. One look is enough for
-- many hints, and a look that is under way is followed by another one. No hint makes a look later.
local function look_soon(id)
  local looking, seen = get(id, 'looking', 'seen')
  redis.call('HSET', record(id), 'hinted', int(NOW))
  if looking and looking ~= '' and redis.call('ZSCORE', DUE, id) then return end
  local line = look_line(reader_of(id))
  if redis.call('ZSCORE', line, id) then
    redis.call('ZADD', line, 'LT', int(NOW + HINTED), id)
    return
  end
  local at, due = (tonumber(seen) or 0) + HINT_PAUSE, tonumber(redis.call('ZSCORE', DUE, id))
  if at > NOW then
    if not due or due > at then schedule(id, at) end
  else
    redis.call('ZREM', DUE, id)
    redis.call('ZADD', line, int(NOW + HINTED), id)
    ring()
  end
end
