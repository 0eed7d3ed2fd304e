-- Uses: record, wakeup.
-- The ready queues, in which jobs wait for a permit.
--
-- A job that has not ended is in exactly one index. It is in `due`, scored by the time at which something must happen
-- to it. When that time has come and the job needs a permit, it is in a ready queue until a permit is free. A job
-- over budget is kept apart (caps.lua) until there is money for it. Copies have an index of their own (copies.lua).
--
-- A job that is to be sent waits in the common queue, or in the queue of the account that it names. The highest
-- priority goes first, and among equals the lowest turn. Turns are start tags of fair queueing (Goyal, Vin and Cheng
-- 1996): the next job of a lane gets the turn after the lane's last one, but no turn that has passed already. So
-- lanes share the turns equally, however many jobs each has, and the jobs of a lane go in the order of submission. A
-- job keeps its turn through all attempts. A turn that very many new lanes share is cut short (`turn_over`).
--
-- A job that is to be polled waits in the poll queue of its account. Its score is the time at which it will be
-- overdue by the pause that its policy allowed between two polls. So of two jobs, the one goes first that is later in
-- proportion to its pause.

local function ready_of(account) return account and READY_OF .. account or READY end

-- The next turn of a lane. The queue of one account may lag behind the common one; there, its own first turn is the
-- current one.
local function next_turn(priority, lane, pinned)
  local now = sane(redis.call('HGET', TURNS_NOW, priority), 0, TURNS) or 0
  if pinned then
    local base = (9 - priority) * TURNS
    local front = redis.call('ZRANGEBYSCORE', ready_of(pinned), int(base), int(base + now), 'WITHSCORES', 'LIMIT', 0, 1)
    if front[2] then now = front[2] - base - 1 end
  end
  local lanes = LANES .. priority
  local turn = math.max(now, sane(redis.call('ZSCORE', lanes, lane), 0, TURNS) or 0) + 1
  redis.call('ZADD', lanes, turn, lane)
  redis.call('HINCRBY', LANES_WAITING .. priority, lane, 1)
  return turn
end

-- Removes the job from its lane's count. A lane without unsent jobs is forgotten, and later starts at the current
-- turn.
local function leave_lane(job)
  if not job.waits then return end
  job.waits = nil
  local lane, waiting = job.lane or '', LANES_WAITING .. job.priority
  if redis.call('HINCRBY', waiting, lane, -1) < 1 then
    redis.call('HDEL', waiting, lane)
    redis.call('ZREM', LANES .. job.priority, lane)
  end
end

-- Advances the current turn of a priority after `sent` jobs of it, of which the last has that turn. A turn that more
-- jobs share than it has room for ends for new lanes before its last job is sent. Otherwise a tenant who uses a new
-- lane for each job would have all of them go before the next job of a lane with a backlog. The room is several times
-- the number of lanes with a backlog, so new lanes still get most of the permits.
local function turn_over(priority, turn, sent)
  local known = redis.call('HMGET', TURNS_NOW, priority, 'sent:' .. priority)
  local now, lanes = sane(known[1], 0, TURNS) or 0, LANES .. priority
  if turn > now then
    now, sent = turn, 0
  else
    sent = sent + (sane(known[2], 0, TURNS) or 0)
    local room = TURN_ROOM
    if sent >= room then room = math.max(room, ROOM_A_LANE * redis.call('ZCOUNT', lanes, int(now + 2), '+inf')) end
    now, sent = now + math.floor(sent / room), sent % room
  end
  redis.call('HSET', TURNS_NOW, priority, int(now), 'sent:' .. priority, int(sent))
  -- Lanes without a later turn need not be remembered. The rest of them goes with later claims.
  local passed = math.min(redis.call('ZCOUNT', lanes, '-inf', int(now)), MOST_PASSED)
  if passed > 0 then redis.call('ZREMRANGEBYRANK', lanes, 0, passed - 1) end
end

local function score_of(job)
  return (9 - job.priority) * TURNS + job.turn
end

-- Puts a job in its ready queue. `begin` extends the deadline by the time that the job waits there.
local function enqueue(job, since)
  if job.deadline and not job.ready_since then job.ready_since = since or NOW end
  redis.call('ZADD', ready_of(job.pinned), score_of(job), job.id)
  if job.pinned then visit_by(job.pinned, NOW) end
end

-- Puts a queued job in the index of jobs that expire.
local function watch_expiry(job)
  if job.expires then redis.call('ZADD', EXPIRING, job.expires, job.id) end
end

local function dequeue(job)
  redis.call('ZREM', ready_of(job.pinned), job.id)
  if not job.over_budget then return end
  redis.call('ZREM', OVER_BUDGET_OF .. job.over_budget, job.id)
  job.over_budget = nil
end

-- The account whose key reads the job's next task.
local function reader_of(job) return job.reader or MAIN end

-- The score of a poll that is due at that time. It precedes all of these if a callback has come since the last poll.
local function poll_score(job, at)
  local waiting = job.signalled and job.signalled >= (job.seen or 0)
  return waiting and job.signalled + SIGNALLED or at
end

local function enqueue_poll(job, score)
  local account = reader_of(job)
  redis.call('ZADD', READY_POLLS .. account, score, job.id)
  visit_by(account, NOW)
end

local function dequeue_poll(job)
  redis.call('ZREM', READY_POLLS .. reader_of(job), job.id)
end

-- Takes back a poll that was claimed and not made. It waits for another permit.
local function take_back_poll(job, at)
  redis.call('ZREM', DUE, job.id)
  job.polling = nil
  enqueue_poll(job, poll_score(job, at))
end

-- Schedules the next poll in `delay` milliseconds.
local function poll_in(job, delay)
  job.pace = delay
  schedule(job, NOW + delay)
end

-- Handles a signal, the provider's word that there is something new to see: the job's next poll precedes others. One
-- poll answers many signals. A poll that is under way is followed by another one. No signal delays a poll.
local function poll_soon(job)
  job.signalled = NOW
  local due = tonumber(redis.call('ZSCORE', DUE, job.id))
  if job.polling and due then return end
  local account = reader_of(job)
  if redis.call('ZSCORE', READY_POLLS .. account, job.id) then
    redis.call('ZADD', READY_POLLS .. account, 'LT', NOW + SIGNALLED, job.id)
    return
  end
  local at = (job.seen or 0) + SIGNAL_PAUSE
  if at > NOW then
    if not due or due > at then schedule(job, at) end
  else
    redis.call('ZREM', DUE, job.id)
    enqueue_poll(job, NOW + SIGNALLED)
    notify()
  end
end
