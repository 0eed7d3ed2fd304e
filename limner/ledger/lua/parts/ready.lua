-- Uses: record, wakeup.
-- The lines in which jobs wait for a permit.
--
-- A job that has not ended stands in exactly one place: in `due`, by the time at which something must happen to
-- it, or, when that time has come and it takes a permit to go on, in a line until the permit is free, or apart
-- (caps.lua) until there is money for it.
--
-- To be sent, a job waits in the common queue, or in that of the account it names: the highest priority first, and
-- among equals by turn. Turns are start tags of fair queueing (Goyal, Vin and Cheng 1996): a lane's next job gets
-- the turn after its last one, but none that is over already. So between lanes turns are shared, however many
-- jobs each has, and within one they go in the order of submission. A job keeps its turn through all attempts.
--
-- To be polled, it waits in the line of its account: by when it will be overdue by as much as its policy
-- allowed between two polls. Of two jobs, that brings the one forward which has waited longer in relation.

local function ready_of(account) return account and READY_OF .. account or READY end

-- An account's own line may lag behind the others, and there the turn that is next counts as now.
local function next_turn(priority, lane, pinned)
  local now = tonumber(redis.call('HGET', TURNS_NOW, priority)) or 0
  if pinned then
    local base = (9 - priority) * TURNS
    local front = redis.call('ZRANGEBYSCORE', ready_of(pinned), int(base), int(base + now), 'WITHSCORES', 'LIMIT', 0, 1)
    if front[2] then now = front[2] - base - 1 end
  end
  local lanes = LANES .. priority
  local turn = math.max(now, tonumber(redis.call('ZSCORE', lanes, lane)) or 0) + 1
  redis.call('ZADD', lanes, turn, lane)
  redis.call('HINCRBY', LANES_WAITING .. priority, lane, 1)
  return turn
end

-- Forgets a lane when no unsent job of it is left; it then starts at the current turn again.
local function leave_lane(job)
  if not job.waits then return end
  job.waits = nil
  local lane, waiting = job.lane or '', LANES_WAITING .. job.priority
  if redis.call('HINCRBY', waiting, lane, -1) < 1 then
    redis.call('HDEL', waiting, lane)
    redis.call('ZREM', LANES .. job.priority, lane)
  end
end

-- That turn has come: lanes that have no later one need not be remembered.
local function turn_over(priority, turn)
  local now = tonumber(redis.call('HGET', TURNS_NOW, priority)) or 0
  if turn <= now then return end
  redis.call('HSET', TURNS_NOW, priority, int(turn))
  redis.call('ZREMRANGEBYSCORE', LANES .. priority, '-inf', int(turn))
end

local function score_of(job)
  return (9 - job.priority) * TURNS + job.turn
end

-- Time in the queue does not count against the deadline: `begin` moves it by that time.
local function enqueue(job, since)
  if job.deadline and not job.ready_since then job.ready_since = since or NOW end
  redis.call('ZADD', ready_of(job.pinned), score_of(job), job.id)
  if job.pinned then visit_by(job.pinned, NOW) end
end

-- A job that waits to be sent can expire again.
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

-- Its place in the queue if it were due at that time; before all of these if a callback has come since the last poll.
local function poll_score(job, at)
  local waiting = job.signalled and job.signalled >= (job.seen or 0)
  return waiting and job.signalled + SIGNALLED or at
end

local function enqueue_poll(job, place)
  local account = reader_of(job)
  redis.call('ZADD', READY_POLLS .. account, place, job.id)
  visit_by(account, NOW)
end

local function dequeue_poll(job)
  redis.call('ZREM', READY_POLLS .. reader_of(job), job.id)
end

-- A poll that was claimed and not made waits for another permit.
local function take_back_poll(job, at)
  redis.call('ZREM', DUE, job.id)
  job.polling = nil
  enqueue_poll(job, poll_score(job, at))
end

-- The next poll, in `delay` milliseconds.
local function poll_in(job, delay)
  job.pace = delay
  schedule(job, NOW + delay)
end

-- Polls come before others when the provider has said that there is something to see. One poll is enough for
-- many signals, and a poll that is under way is followed by another one. No signal makes a poll later.
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
