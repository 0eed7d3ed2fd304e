-- What every transition begins with. KEYS[1] is the ledger's prefix with its hash tag; ARGV[1] the time in
-- milliseconds, or '' for the server's clock; ARGV[2] the arguments as a JSON object.
--
-- A job that has not ended stands in exactly one place: in `due`, by the time at which something must happen
-- to it, or, when that time has come and it takes a permit to go on, in a `line` until the permit is free.

local P = KEYS[1]
local A = cjson.decode(ARGV[2])

local VERSION = 2
local KEEP_LOG = 200
local KEEP_EVENTS = 100000
local LONGEST_NAP = 1000
local HINT_PAUSE = 1000
local AHEAD = 60000
local USUAL_TIME = 900000

local DUE, BELL, EVENTS, IN_FLIGHT = P .. 'due', P .. 'bell', P .. 'events', P .. 'in-flight'
local CREATE, LOOK = P .. 'line:create', P .. 'line:look'
local CREATES, LOOKS = P .. 'window:create', P .. 'window:look'
local DOUBTS = P .. 'doubts'

local NOW = tonumber(ARGV[1])
if not NOW then
  local time = redis.call('TIME')
  NOW = time[1] * 1000 + math.floor(time[2] / 1000)
end

local function int(number) return string.format('%.0f', number) end

local function record(id) return P .. 'job:' .. id end

local function get(id, ...)
  return unpack(redis.call('HMGET', record(id), ...))
end

-- A record that a newer version wrote is for newer workers: it is left as it is.
if A.job then
  local v = tonumber(get(A.job, 'v'))
  if v and v > VERSION then
    return redis.error_reply('NEWER job ' .. A.job .. ' has version ' .. int(v) .. ', known is ' .. VERSION)
  end
end

-- Wakes one clock: they sleep on this list, and one wake-up is enough for all that is due.
local function ring()
  if redis.call('LLEN', BELL) == 0 then redis.call('LPUSH', BELL, '1') end
end

-- No clock sleeps longer than a nap, so only what is due before that has to wake one.
local function schedule(id, at)
  redis.call('ZADD', DUE, int(at), id)
  if at < NOW + LONGEST_NAP and redis.call('ZRANGE', DUE, 0, 0)[1] == id then ring() end
end

-- Priority first, then the order of submission, which a job keeps through all of its attempts.
local function queue_up(id)
  local priority, turn = get(id, 'priority', 'turn')
  redis.call('ZADD', CREATE, int((9 - priority) * 1e14 + turn), id)
end

local function leave_flight(id)
  if redis.call('SREM', IN_FLIGHT, id) == 1 and redis.call('ZCARD', CREATE) > 0 then ring() end
end

-- The provider's tasks of a job: {id, attempt, state = open|succeeded|failed|lost, sure, credits, urls}. One is
-- `sure` when the provider itself has named it, in its answer to the attempt or in a look's.
local function tasks_of(id)
  local text, state, task_id, attempt = get(id, 'tasks', 'state', 'task_id', 'attempt')
  if text then return cjson.decode(text) end
  -- Version 1 knew of one task only.
  if not task_id or state == 'succeeded' then return {} end
  return {{id = task_id, attempt = tonumber(attempt), state = 'open', sure = true}}
end

local function keep_tasks(id, tasks)
  redis.call('HSET', record(id), 'tasks', cjson.encode(tasks), 'v', VERSION)
end

local function find_task(tasks, name)
  for place, task in ipairs(tasks) do
    if task.id == name then return task, place end
  end
end

local function open_task(tasks)
  for _, task in ipairs(tasks) do
    if task.state == 'open' then return task end
  end
end

local function ended(state)
  return state == 'succeeded' or state == 'failed' or state == 'cancelled'
end

-- Looks come before others when the provider has said that there is something to see. One look is enough for
-- many hints, and a look that is under way is followed by another one. No hint makes a look later.
local function look_soon(id)
  local looking, seen = get(id, 'looking', 'seen')
  redis.call('HSET', record(id), 'hinted', int(NOW))
  if looking and looking ~= '' and redis.call('ZSCORE', DUE, id) then return end
  if redis.call('ZSCORE', LOOK, id) then
    redis.call('ZADD', LOOK, 'LT', int(NOW - AHEAD), id)
    return
  end
  local at, due = (tonumber(seen) or 0) + HINT_PAUSE, tonumber(redis.call('ZSCORE', DUE, id))
  if at > NOW then
    if not due or due > at then schedule(id, at) end
  else
    redis.call('ZREM', DUE, id)
    redis.call('ZADD', LOOK, int(NOW - AHEAD), id)
    ring()
  end
end

-- The attempt of which it is not known whether it was accepted, and the index of jobs that have one.
local function doubt(id, attempt)
  redis.call('HSET', record(id), 'doubtful', attempt)
  redis.call('ZADD', DOUBTS, 'NX', int(NOW), id)
end

local function no_doubt(id)
  redis.call('HDEL', record(id), 'doubtful')
  redis.call('ZREM', DOUBTS, id)
end

-- A job that waited for something else than its task has all of its time again.
local function generate(id, task_id)
  local state, deadline, allowance = get(id, 'state', 'deadline', 'allowance')
  if not deadline or state == 'in_doubt' or state == 'queued' then
    deadline = math.max(tonumber(deadline) or 0, NOW + (tonumber(allowance) or USUAL_TIME))
  end
  redis.call('HSET', record(id), 'state', 'generating', 'task_id', task_id, 'deadline', int(deadline))
  redis.call('HDEL', record(id), 'held')
  redis.call('ZREM', CREATE, id)
  redis.call('SADD', IN_FLIGHT, id)
end

-- A job with a task that is still open has something to wait for, whatever became of its last attempt.
local function go_on_looking(id)
  local task = open_task(tasks_of(id))
  if not task then return false end
  generate(id, task.id)
  look_soon(id)
  return true
end

-- Kept on the record, so that a job can explain itself.
local function note(id, event, detail)
  local entry = detail or {}
  entry.at, entry.event = NOW, event
  local text = cjson.encode(entry)
  local log = P .. 'log:' .. id
  if redis.call('RPUSH', log, text) > KEEP_LOG then redis.call('LTRIM', log, -KEEP_LOG, -1) end
  return text
end

-- Noted, and told to whoever reads the event stream.
local function announce(id, event, detail)
  local text = note(id, event, detail)
  redis.call('XADD', EVENTS, 'MAXLEN', '~', KEEP_EVENTS, '*',
    'job', id, 'event', event, 'at', int(NOW), 'detail', text, 'metadata', get(id, 'metadata') or '{}')
end

-- The end of a job. It stays due until its result lies in the result backend as well.
local function finish(id, state, outcome, detail, event)
  redis.call('HSET', record(id), 'state', state, 'outcome', outcome, 'finished', int(NOW), 'looking', '')
  redis.call('HDEL', record(id), 'stored')
  redis.call('ZREM', CREATE, id)
  redis.call('ZREM', LOOK, id)
  leave_flight(id)
  schedule(id, NOW + A.store_lease)
  announce(id, event or state, detail)
  redis.call('PUBLISH', P .. 'ended:' .. id, state)
end

-- Nothing more is due: the record may go when its time is over. The idempotency key outlives the job by its own
-- time, and the record with it.
local function let_go(id, ttl)
  local key, key_ttl = get(id, 'key', 'key_ttl')
  local longer = math.max(ttl, tonumber(key_ttl) or 0)
  redis.call('PEXPIRE', record(id), int(longer))
  redis.call('PEXPIRE', P .. 'log:' .. id, int(longer))
  if key then redis.call('PEXPIRE', P .. 'key:' .. key, int(key_ttl)) end
  redis.call('ZREM', DUE, id)
  redis.call('ZREM', LOOK, id)
end

-- Something is due again for a job that had been let go.
local function hold_on_to(id)
  local key = get(id, 'key')
  redis.call('PERSIST', record(id))
  redis.call('PERSIST', P .. 'log:' .. id)
  if key and redis.call('GET', P .. 'key:' .. key) == id then redis.call('PERSIST', P .. 'key:' .. key) end
end
