-- Uses: record, wakeup.
-- The quota of an account: windows of permits, slots in flight, and what has been learned about both.
--
-- A permit is a member JOB:LEASE of a window. Its score is the time from which its request counts. A claim grants it,
-- and the sending sets its score anew. The answer moves the score once more, by as much as the exchange took longer
-- than the fastest one. So a slow request delays its own successor by that time, and no other request. The margin
-- covers what this correction cannot see; it is added to the window's length.

-- Reads the named numbers of an account's quota. `first_margin` has to be among the names: it replaces margins that
-- have not been learned yet. Returns nil for an account that no worker has served.
local function quota_of(account, names)
  local quota = {}
  for at, value in ipairs(redis.call('HMGET', QUOTA .. account, 'creates', unpack(names))) do
    local name = names[at - 1] or 'creates'
    quota[name] = sane(value, 0, LARGEST - 1)
    if quota[name] and string.find(COUNTS, ' ' .. name .. ' ', 1, true) then quota[name] = math.floor(quota[name]) end
    -- A damaged limit makes the workers register anew.
    if not quota[name] and string.find(LIMITS, ' ' .. name .. ' ', 1, true) then return nil end
  end
  quota.margin = quota.margin or quota.first_margin
  quota.poll_margin = quota.poll_margin or math.min(100, quota.first_margin)
  return quota
end

-- The numbers that a claim needs.
local function limits_of(account)
  local limits = quota_of(account, {'creates_span', 'polls', 'polls_span', 'max_in_flight', 'first_margin', 'margin',
    'limit', 'refused_at', 'raise_at', 'patience', 'stride', 'poll_margin', 'ramp', 'ramp_until', 'flight',
    'flight_raise_at', 'flight_patience', 'flight_stride', 'flight_refused_at', 'heard'})
  if not limits then return nil end
  limits.limit = math.min(limits.limit or limits.creates, limits.creates)
  if limits.ramp and NOW >= limits.ramp_until then limits.ramp = nil end
  return limits
end

-- The times after which the entries of a window count.
local function create_edge(limits) return NOW - limits.creates_span - limits.margin end
local function poll_edge(limits) return NOW - limits.polls_span - limits.poll_margin end

-- The exclusive lower bound of a range of times.
local function after(time) return '(' .. int(math.floor(time + 0.5)) end

local function counted(window, edge)
  return redis.call('ZCOUNT', window, after(edge), '+inf')
end

-- Returns when the next permit is free; NOW if one is.
local function next_permit_at(window, limit, edge)
  local entry = redis.call('ZRANGE', window, -limit, -limit, 'WITHSCORES')
  return entry[2] and math.max(NOW, entry[2] + (NOW - edge)) or NOW
end

-- The permit with which the last attempt was sent. The job may have had other leases since.
local function permit_of(job)
  return job.id .. ':' .. int(job.permit or job.lease)
end

local function permit_of_lease(job) return job.id .. ':' .. int(job.lease) end

-- The ramp: after a pause that one accepted request does not disprove for twenty others, a request may be sent, and
-- each acceptance allows two more (1, 2, 4 …), until a whole quota was allowed. `ramp` is the number of requests that
-- may be sent now. A ramp on which no answer comes for a while is forgotten.

local function begin_ramp(account)
  redis.call('HSET', QUOTA .. account, 'ramp', 1, 'ramped', 1, 'ramp_until', int(NOW + LONGEST_RAMP))
end

local function end_ramp(account)
  redis.call('HDEL', QUOTA .. account, 'ramp', 'ramped', 'ramp_until')
end

-- Returns the requests that the ramp allows now, and has allowed so far; nil without a ramp.
local function ramp_of(account)
  local ramp, ramped, till = unpack(redis.call('HMGET', QUOTA .. account, 'ramp', 'ramped', 'ramp_until'))
  if ramp and NOW < tonumber(till) then return tonumber(ramp), tonumber(ramped) end
end

-- Allows so many more requests.
local function widen_ramp(account, more)
  local ramp, ramped = ramp_of(account)
  if not ramp then return end
  if ramped + more >= 2 * tonumber(redis.call('HGET', QUOTA .. account, 'creates')) then
    end_ramp(account)
  else
    redis.call('HINCRBY', QUOTA .. account, 'ramp', more)
    redis.call('HINCRBY', QUOTA .. account, 'ramped', more)
    redis.call('HSET', QUOTA .. account, 'ramp_until', int(NOW + LONGEST_RAMP))
  end
  if open_account(account) then notify() end
end

-- Frees an unused permit for other jobs at once.
local function return_permit(window, permit, account)
  if redis.call('ZREM', window, permit) == 0 then return end
  if ramp_of(account) then redis.call('HINCRBY', QUOTA .. account, 'ramp', 1) end
  open_account(account)
  notify()
end

-- Slots in flight. Each is audited from time to time: the job's record says whether the job still holds it.

local function leave_flight(job)
  local account = job.slot
  if not account then return end
  job.slot = nil
  -- Jobs wait for a slot only if the account was full.
  if redis.call('ZREM', IN_FLIGHT .. account, job.id) == 1 and open_account(account) then notify() end
end

local function enter_flight(job, account)
  if job.slot == account then return end
  leave_flight(job)
  job.slot = account
  redis.call('ZADD', IN_FLIGHT .. account, NOW + AUDIT, job.id)
end

-- Audits a few of the slots that are due for it.
local function audit_flight(account)
  local flight, gone = IN_FLIGHT .. account, 0
  local slots = redis.call('ZRANGEBYSCORE', flight, '-inf', NOW, 'LIMIT', 0, MOST_AUDITED)
  -- No audit is as late as that.
  if #slots == 0 then slots = redis.call('ZRANGEBYSCORE', flight, after(NOW + 2 * AUDIT), '+inf', 'LIMIT', 0, MOST_AUDITED) end
  for _, id in ipairs(slots) do
    if redis.pcall('HGET', JOB .. id, 'slot') == account then
      redis.call('ZADD', flight, NOW + AUDIT, id)
    else
      gone = gone + redis.call('ZREM', flight, id)
    end
  end
  if gone > 0 and open_account(account) then notify() end
end

local function forget_permits(account, limits)
  redis.call('ZREMRANGEBYSCORE', WINDOW_CREATE .. account, '-inf', NOW - limits.creates_span - REMEMBERED)
  redis.call('ZREMRANGEBYSCORE', WINDOW_ANSWER .. account, '-inf', NOW - limits.creates_span - REMEMBERED)
  redis.call('ZREMRANGEBYSCORE', WINDOW_POLL .. account, '-inf', NOW - limits.polls_span - REMEMBERED)
  -- No permit counts from a later time on: somebody else has written it.
  for _, window in ipairs({WINDOW_CREATE, WINDOW_ANSWER, WINDOW_POLL}) do
    redis.call('ZREMRANGEBYSCORE', window .. account, after(NOW + LONGEST_SILENCE), '+inf')
  end
end

-- Learns from an answer that accepts the request: corrects the permit's time, lowers the margin, and widens the ramp.
local function learn_from_answer(job, account)
  if not job.sent or job.answered then return end
  local limits, permit = quota_of(account, {'first_margin', 'margin', 'fastest', 'ramp'}), permit_of(job)
  if not limits then return end
  job.answered = 1
  local rtt = math.max(0, NOW - job.sent)
  local fastest = limits.fastest or rtt
  fastest = rtt < fastest and rtt or fastest + (rtt - fastest) * 0.01
  local late = math.min(rtt - fastest, MOST_LATE)
  redis.call('ZADD', WINDOW_CREATE .. account, 'XX', math.floor(job.sent + late + 0.5), permit)
  redis.call('ZADD', WINDOW_ANSWER .. account, NOW, permit)
  redis.call('HSET', QUOTA .. account, 'fastest', fastest, 'heard', int(NOW),
    'margin', math.max(math.min(SHORTEST_MARGIN, limits.first_margin), limits.margin * 0.98))
  if limits.ramp then widen_ramp(account, 2) end
end

-- Notes that the provider has answered a request of the account, in whatever way.
local function heard(account)
  redis.call('HSET', QUOTA .. account, 'heard', int(NOW))
end

-- True if requests are on the wire for so long, without any answer since, that more of them would only meet the same.
local function stalled(account, limits)
  local since = math.max(limits.heard or 0, create_edge(limits))
  if NOW - since <= STALLED then return false end
  return redis.call('ZCOUNT', WINDOW_CREATE .. account, after(since), int(NOW - STALLED)) >= MOST_STALLED
end

-- Counts a request from now on: without its answer, nobody knows when the provider counted it.
local function count_from_now(job, account)
  redis.call('ZADD', WINDOW_CREATE .. account, 'XX', NOW, permit_of(job))
end

-- The most of our requests that the provider can have counted since that time.
local function counted_at_most(account, edge)
  local answers = WINDOW_ANSWER .. account
  local count = counted(answers, edge)
  for _, permit in ipairs(redis.call('ZRANGEBYSCORE', WINDOW_CREATE .. account, after(edge), '+inf')) do
    if not redis.call('ZSCORE', answers, permit) then count = count + 1 end
  end
  return count
end

-- The tasks in flight, without the job's own.
local function running_beside(account, job)
  return redis.call('ZCARD', IN_FLIGHT .. account) - (job.slot == account and 1 or 0)
end

-- Learns from a refusal for too many tasks at work: as many as there are now are the limit, until more are tried.
local function too_many_running(job, account)
  local limits = limits_of(account)
  if not limits then return end
  local running = math.max(1, running_beside(account, job))
  if running >= limits.max_in_flight then return end
  local patience = limits.flight_patience or PATIENCE
  -- Of several refusals at once, only the first is a new case.
  local again = NOW - (limits.flight_refused_at or 0) < limits.creates_span
  if limits.flight and not again then patience = math.min(LONGEST_PATIENCE, 2 * patience) end
  redis.call('HSET', QUOTA .. account, 'flight', running, 'flight_patience', patience, 'flight_stride', 1,
    'flight_raise_at', int(NOW + patience), 'flight_refused_at', int(NOW))
end

-- Raises a lowered limit of tasks in flight on trial, as `raise_limit` does. Returns the limit.
local function flight_limit(account, limits)
  local most = limits.max_in_flight
  if not limits.flight or limits.flight >= most then return most end
  if NOW < (limits.flight_raise_at or 0) then return limits.flight end
  local stride = limits.flight_stride or 1
  limits.flight = math.min(most, limits.flight + stride)
  redis.call('HSET', QUOTA .. account, 'flight', limits.flight, 'flight_stride', 2 * stride,
    'flight_raise_at', int(NOW + (limits.flight_patience or PATIENCE)))
  return limits.flight
end

-- Learns from a refusal for too many requests. If our own requests can have filled the quota, the provider counted
-- some of them later than assumed, and the margin grows. Otherwise somebody else uses the same quota, and the limit
-- is lowered to the number that the provider accepted. The longer that lasts, the more rarely a higher limit is
-- tried. A single refusal at less than half of the quota teaches nothing, but that of a probe does (`alone`): it came
-- although nothing else was sent.
local function too_often(job, account, alone)
  local limits, quota = limits_of(account), QUOTA .. account
  if not limits or not job.sent then return end
  redis.call('ZREM', WINDOW_CREATE .. account, permit_of(job))
  open_account(account)
  local ours = counted_at_most(account, job.sent - limits.creates_span)
  local again = limits.refused_at and NOW - limits.refused_at < limits.creates_span
  if ours >= limits.limit then
    if again then return end
    redis.call('HSET', quota, 'margin', math.min(LONGEST_MARGIN, math.max(100, 2 * limits.margin)))
  elseif alone and running_beside(account, job) > ours then
    too_many_running(job, account)
  elseif ours >= limits.creates / 2 or alone then
    ours = math.max(1, ours)
    -- If the full quota has been available since the last trial, this is a new case, and patience starts anew.
    local whole = limits.limit >= limits.creates and NOW >= (limits.raise_at or 0)
    local patience = not whole and limits.patience or PATIENCE
    if not whole and limits.patience and not again then patience = math.min(LONGEST_PATIENCE, 2 * patience) end
    redis.call('HSET', quota, 'limit', ours, 'patience', patience, 'stride', 1, 'raise_at', int(NOW + patience))
  end
  redis.call('HSET', quota, 'refused_at', int(NOW))
end

-- Raises a lowered limit on trial: by one, then by two, then by four.
local function raise_limit(account, limits)
  if limits.limit >= limits.creates or NOW < (limits.raise_at or 0) then return end
  local stride = limits.stride or 1
  limits.limit = math.min(limits.creates, limits.limit + stride)
  limits.raise_at = NOW + (limits.patience or PATIENCE)
  redis.call('HSET', QUOTA .. account, 'limit', limits.limit, 'stride', math.min(2 * stride, LARGEST - 1),
    'raise_at', int(limits.raise_at))
end

-- Learns from a read that was refused for its rate. Polls do not learn from response times: with answers that take a
-- third of a second, a window of one second would lose much of its length. A refused read costs nothing but itself.
local function polls_too_often(account)
  local limits = quota_of(account, {'polls_span', 'first_margin', 'poll_margin', 'poll_refused_at'})
  -- All refusals within one window count once.
  if not limits or limits.poll_refused_at and NOW - limits.poll_refused_at < limits.polls_span then return end
  redis.call('HSET', QUOTA .. account, 'poll_refused_at', int(NOW),
    'poll_margin', math.min(LONGEST_POLL_MARGIN, math.max(100, 2 * limits.poll_margin)))
end

local function poll_went_well(account)
  local limits = quota_of(account, {'first_margin', 'poll_margin'})
  if not limits then return end
  local margin, shortest = limits.poll_margin, math.min(SHORTEST_POLL_MARGIN, limits.first_margin)
  if margin > shortest then redis.call('HSET', QUOTA .. account, 'poll_margin', math.max(shortest, margin * 0.99)) end
end
