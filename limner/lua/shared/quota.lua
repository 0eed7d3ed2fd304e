-- What an account allows: windows of permits, places in flight, and what has been learned about both.
--
-- A permit is a member JOB:LEASE of a window, by the time at which its request counts. It is given with the
-- claim and counts from the sending; when the answer is there, it counts from as much later as the exchange took
-- longer than the quickest one. So a request that dawdled on its way keeps its own successor back for as long,
-- and no other one. The guard covers what that does not see: it is added to the window's length.

local SHORTEST_GUARD, LONGEST_GUARD = 10, 5000
local SHORTEST_LOOK_GUARD, LONGEST_LOOK_GUARD = 30, 1000
local MOST_LATE = 1000
local AUDIT = 60000
local PATIENCE, LONGEST_PATIENCE = 60000, 1800000
local REMEMBERED = 30000

local function creates_of(account) return P .. 'window:create:' .. account end
local function answers_of(account) return P .. 'window:answer:' .. account end
local function looks_of(account) return P .. 'window:look:' .. account end
local function flight_of(account) return P .. 'in-flight:' .. account end
local function quota_of(account) return P .. 'quota:' .. account end

local function limits_of(account)
  local names = {'creates', 'creates_span', 'looks', 'looks_span', 'max_in_flight', 'first_guard',
    'guard', 'fastest', 'limit', 'refused_at', 'raise_at', 'patience', 'stride', 'look_guard', 'look_refused_at'}
  local limits = {}
  for at, value in ipairs(redis.call('HMGET', quota_of(account), unpack(names))) do
    limits[names[at]] = tonumber(value)
  end
  if not limits.creates then return nil end
  limits.guard = limits.guard or limits.first_guard
  limits.look_guard = limits.look_guard or math.min(100, limits.first_guard)
  limits.limit = math.min(limits.limit or limits.creates, limits.creates)
  return limits
end

-- From when on the entries of a window count.
local function create_edge(limits) return NOW - limits.creates_span - limits.guard end
local function look_edge(limits) return NOW - limits.looks_span - limits.look_guard end

local function counted(window, edge)
  return redis.call('ZCOUNT', window, '(' .. int(edge), '+inf')
end

-- The time at which one more will be free than `limit` allow now.
local function reopens(window, limit, edge)
  local entry = redis.call('ZRANGE', window, -limit, -limit, 'WITHSCORES')
  return entry[2] and entry[2] + (NOW - edge) + 1 or NOW
end

-- The permit with which the last attempt was sent. The job may have had other leases since.
local function permit_of(id)
  local number, lease = get(id, 'permit', 'lease')
  return id .. ':' .. (number or lease)
end

-- A permit that was not used is free for others at once.
local function return_permit(window, permit)
  if redis.call('ZREM', window, permit) == 1 then ring() end
end

-- Places in flight. Each comes up for an audit now and then, which asks the record whether it is still held.

local function leave_flight(id)
  local account = get(id, 'place')
  if not account then return end
  redis.call('HDEL', record(id), 'place')
  if redis.call('ZREM', flight_of(account), id) == 1 then ring() end
end

local function enter_flight(id, account)
  local held = get(id, 'place')
  if held and held ~= account then leave_flight(id) end
  redis.call('HSET', record(id), 'place', account)
  redis.call('ZADD', flight_of(account), int(NOW + AUDIT), id)
end

local function audit_flight(account)
  for _, id in ipairs(redis.call('ZRANGEBYSCORE', flight_of(account), '-inf', int(NOW), 'LIMIT', 0, 1000)) do
    if get(id, 'place') == account then
      redis.call('ZADD', flight_of(account), int(NOW + AUDIT), id)
    else
      redis.call('ZREM', flight_of(account), id)
    end
  end
end

-- Learning. The guard shrinks with every request that is answered as it should be.
local function answered(id, account)
  local limits, sent, permit = limits_of(account), get(id, 'sent'), permit_of(id)
  if not limits or not sent or redis.call('HSETNX', record(id), 'answered', 1) == 0 then return end
  local rtt = math.max(0, NOW - sent)
  local fastest = limits.fastest or rtt
  fastest = rtt < fastest and rtt or fastest + (rtt - fastest) * 0.01
  redis.call('ZADD', creates_of(account), 'XX', int(sent + math.min(rtt - fastest, MOST_LATE)), permit)
  redis.call('ZADD', answers_of(account), int(NOW), permit)
  redis.call('HSET', quota_of(account), 'fastest', fastest,
    'guard', math.max(math.min(SHORTEST_GUARD, limits.first_guard), limits.guard * 0.98))
end

-- A request whose answer is not known may have been counted until now.
local function unanswered(id, account)
  redis.call('ZADD', creates_of(account), 'XX', int(NOW), permit_of(id))
end

-- How many of our requests the provider can have counted at most, in the window that ends at that time.
local function counted_at_most(account, edge)
  local answers = answers_of(account)
  local count = counted(answers, edge)
  for _, permit in ipairs(redis.call('ZRANGEBYSCORE', creates_of(account), '(' .. int(edge), '+inf')) do
    if not redis.call('ZSCORE', answers, permit) then count = count + 1 end
  end
  return count
end

-- The provider says that there were too many. If ours can be so many, some were counted later than we thought,
-- and the guard grows. If not, somebody else spends of the same quota, and what the provider took is what is
-- left for us; the longer that goes on, the more rarely it is tried whether there is more again.
local function too_often(id, account)
  local limits, sent = limits_of(account), get(id, 'sent')
  if not limits or not sent then return end
  redis.call('ZREM', creates_of(account), permit_of(id))
  local ours = counted_at_most(account, sent - limits.creates_span)
  local again = limits.refused_at and NOW - limits.refused_at < limits.creates_span
  if ours >= limits.limit then
    if again then return end
    redis.call('HSET', quota_of(account), 'guard', math.min(LONGEST_GUARD, math.max(100, 2 * limits.guard)))
  -- With so few of ours, no share of the quota explains it: the pause is answer enough.
  elseif ours >= limits.creates / 2 then
    -- A quota that was whole for longer than its last trial took is somebody's again, and not still.
    local whole = limits.limit >= limits.creates and NOW >= (limits.raise_at or 0)
    local patience = not whole and limits.patience or PATIENCE
    if not whole and limits.patience and not again then patience = math.min(LONGEST_PATIENCE, 2 * patience) end
    redis.call('HSET', quota_of(account), 'limit', ours, 'patience', patience, 'stride', 1,
      'raise_at', int(NOW + patience))
  end
  redis.call('HSET', quota_of(account), 'refused_at', int(NOW))
end

-- Whether there is more again than was left for us: first one more, then two, and so on.
local function raise_limit(account, limits)
  if limits.limit >= limits.creates or NOW < (limits.raise_at or 0) then return end
  local stride = limits.stride or 1
  limits.limit = math.min(limits.creates, limits.limit + stride)
  redis.call('HSET', quota_of(account), 'limit', limits.limit, 'stride', 2 * stride,
    'raise_at', int(NOW + (limits.patience or PATIENCE)))
end

local function forget_permits(account, limits)
  redis.call('ZREMRANGEBYSCORE', creates_of(account), '-inf', int(NOW - limits.creates_span - REMEMBERED))
  redis.call('ZREMRANGEBYSCORE', answers_of(account), '-inf', int(NOW - limits.creates_span - REMEMBERED))
  redis.call('ZREMRANGEBYSCORE', looks_of(account), '-inf', int(NOW - limits.looks_span - REMEMBERED))
end

-- Of a look's answer, the time that it took tells nothing here: a window of a second would lose a good part of itself
-- to answers of a third of one. A read that was refused costs nothing but itself.
local function looks_too_often(account)
  local limits = limits_of(account)
  -- What was refused in one window is one lesson.
  if not limits or limits.look_refused_at and NOW - limits.look_refused_at < limits.looks_span then return end
  redis.call('HSET', quota_of(account), 'look_refused_at', int(NOW),
    'look_guard', math.min(LONGEST_LOOK_GUARD, math.max(100, 2 * limits.look_guard)))
end

local function look_went_well(account)
  local limits = limits_of(account)
  if not limits then return end
  local shortest = math.min(SHORTEST_LOOK_GUARD, limits.first_guard)
  if limits.look_guard > shortest then
    redis.call('HSET', quota_of(account), 'look_guard', math.max(shortest, limits.look_guard * 0.99))
  end
end
