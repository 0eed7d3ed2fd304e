-- The end of a job. It stays due until its result lies in the result backend as well.

local function finish(id, state, outcome, detail, event)
  if get(id, 'state') == 'queued' then take_back(id) end
  redis.call('HSET', record(id), 'state', state, 'outcome', outcome, 'finished', int(NOW), 'looking', '')
  redis.call('HDEL', record(id), 'stored')
  leave_line(id)
  has_waited(id)
  leave_look_line(id)
  redis.call('ZREM', EXPIRING, id)
  no_probe(id, 0)
  leave_flight(id)
  local waiting = {}
  for _, task in ipairs(tasks_of(id)) do
    if task.state == 'open' then waiting[task.attempt] = true end
  end
  leave_doubtful(id, waiting)
  schedule(id, NOW + A.store_lease)
  announce(id, event or state, detail)
  redis.call('PUBLISH', P .. 'ended:' .. id, state)
end

-- A job ends without anybody's doing, in an error of which the kind came along.
local function end_in(id, state, error)
  local faulted, resubmitted = get(id, 'faulted', 'resubmitted')
  local told = {type = error.type, message = error.message, details = {job_id = id}}
  if faulted or resubmitted then told.details.charged = 'maybe' end
  redis.call('ZREM', DUE, id)
  finish(id, state, cjson.encode({error = told}), {error = told})
end

-- Nothing more is due: the record may go when its time is over. The idempotency key outlives the job by its own
-- time, and the record with it.
local function let_go(id, ttl)
  local key, key_ttl = get(id, 'key', 'key_ttl')
  local longer = math.max(ttl, tonumber(key_ttl) or 0)
  redis.call('PEXPIRE', record(id), int(longer))
  redis.call('PEXPIRE', P .. 'log:' .. id, int(longer))
  if key and redis.call('GET', P .. 'key:' .. key) == id then redis.call('PEXPIRE', P .. 'key:' .. key, int(key_ttl)) end
  redis.call('ZREM', DUE, id)
  leave_look_line(id)
end

-- Something is due again for a job that had been let go.
local function hold_on_to(id)
  local key = get(id, 'key')
  redis.call('PERSIST', record(id))
  redis.call('PERSIST', P .. 'log:' .. id)
  if key and redis.call('GET', P .. 'key:' .. key) == id then redis.call('PERSIST', P .. 'key:' .. key) end
end
