-- Uses: record, quota, pauses, ready, money, ends, caps, capacity.
-- Takes what may happen now, and leases each step to the caller, which has registered for some accounts (register.lua). Returns
-- {steps, unreadable, wait}: steps as {id, step, lease} triples, what is wrong with records that cannot be read, and
-- the milliseconds until there is more to do (-1: not before a wake-up). A step `credits` is about an account, and
-- not a job. Returns 'unknown' for workers that are not registered.
local last_claim = tonumber(redis.call('ZSCORE', REGISTRATIONS, A.registration))
-- A clock that went back has left the indexes with times to come: registering sets them right.
if not last_claim or last_claim > NOW then return 'unknown' end
if NOW - last_claim >= CLAIMED_EVERY then redis.call('ZADD', REGISTRATIONS, NOW, A.registration) end

local steps, unreadable, wake = {}, {}, FOR_EVER

local function wake_at(time) wake = math.min(wake, time) end

local function lease(job, step, span)
  job.lease = job.lease + 1
  redis.call('ZADD', DUE, NOW + span, job.id)
  steps[#steps + 1] = {job.id, step, job.lease}
  save(job)
end

-- Out of the way of these claims, and soon in sight again of whoever can read it.
local function set_aside(id, fault)
  redis.call('ZADD', DUE, NOW + A.lease, id)
  unreadable[#unreadable + 1] = fault.err
end

-- The time of the first entry, and those that are due.
local function due(index, most)
  local first = redis.call('ZRANGE', index, 0, 0, 'WITHSCORES')
  if not first[2] or tonumber(first[2]) > NOW then return {} end
  return redis.call('ZRANGEBYSCORE', index, '-inf', NOW, 'WITHSCORES', 'LIMIT', 0, most)
end

-- What is not sent by its time is not sent any more. A job on the wire comes back to this index if it is refused.
local late = due(EXPIRING, A.batch)
for place = 1, #late, 2 do
  local id = late[place]
  local job, fault = load(id)
  redis.call('ZREM', EXPIRING, id)
  if fault then
    redis.call('ZADD', EXPIRING, NOW + A.lease, id)
  elseif job and job.state == 'queued' then
    finish(job, 'expired', A.expired, {error = decoded(A.expired).error})
    save(job)
  end
end

-- What is due goes on by itself, or takes a permit: at once if that is free for it, else from a line.
local polls = {}

local function wants_poll(job, place)
  local account = reader_of(job)
  polls[account] = polls[account] or {}
  table.insert(polls[account], {job = job, place = place})
end

local entries = due(DUE, A.batch)
for place = 1, #entries, 2 do
  local id, at = entries[place], tonumber(entries[place + 1])
  local job, fault = load(id)
  if fault then
    set_aside(id, fault)
  elseif not job then
    redis.call('ZREM', DUE, id)
  elseif job.state == 'queued' then
    redis.call('ZREM', DUE, id)
    take_back(job)
    enqueue(job, at)
    save(job)
  elseif job.state == 'generating' then
    wants_poll(job, poll_score(job, at + (job.pace or 0)))
  elseif job.stored then
    -- The late poll of a job that has ended: those that somebody waits for go before.
    wants_poll(job, NOW + AHEAD)
  else
    lease(job, 'recover', A.lease)
  end
end

local waiting = due(OVER_BUDGET, MOST_CAPS)
for place = 1, #waiting, 2 do try_over_budget(waiting[place], A.prices, A.caps) end

-- The accounts for which something is due, and those that may take what waits in the common queue.
local capacities, free, common = {}, 0, redis.call('ZCARD', READY)

local function ask(account)
  local number = redis.call('INCR', CHECKS)
  try_with('check', number, account, A.lease)
  steps[#steps + 1] = {account, 'credits', number}
end

local function visit(account, key)
  if capacities[account] then return capacities[account] end
  local capacity = capacity_of(account, key, ask, polls[account])
  if not capacity then return nil end
  capacities[account], capacities[#capacities + 1] = capacity, capacity
  free = free + math.max(0, capacity.free)
  return capacity
end

for account in pairs(polls) do
  local key = redis.call('HGET', REGISTRATION .. A.registration, account)
  if key then visit(account, key) end
end
each_due(ACTIVE, function(account, key)
  visit(account, key)
  return #capacities < MOST_VISITS
end)
if common > 0 then
  local visited = 0
  each_due(OPEN, function(account, key)
    if visit(account, key) then visited = visited + 1 end
    return visited < FEWEST_VISITS or (visited < MOST_VISITS and free < 2 * math.min(common, A.batch))
  end)
end
table.sort(capacities, function(one, other) return one.account < other.account end)

-- The jobs in front of a line, as {id, place} pairs.
local function front(line, count)
  local found = count > 0 and redis.call('ZRANGE', line, 0, count - 1, 'WITHSCORES') or {}
  local jobs = {}
  for at = 1, #found, 2 do jobs[#jobs + 1] = {found[at], tonumber(found[at + 1])} end
  return jobs
end

-- More than may be sent, since there may be no money for some.
local function in_front(line, count) return front(line, count > 0 and A.caps and count + A.batch or count) end

local total = math.min(free, A.batch)
local anyones, next_of_anyones = in_front(READY, common > 0 and total or 0), 1
for _, capacity in ipairs(capacities) do
  capacity.own = in_front(ready_of(capacity.account), math.min(math.max(0, capacity.free), total))
end

-- The account with the most capacity takes the next job: the first of the common queue or of its own.
local function freest()
  local best
  for _, capacity in ipairs(capacities) do
    local more = capacity.free > 0 and (capacity.own[capacity.next] or anyones[next_of_anyones])
    if more and (not best or capacity.free > best.free) then best = capacity end
  end
  return best
end

local function take(capacity)
  local own, any = capacity.own[capacity.next], anyones[next_of_anyones]
  if own and (not any or own[2] <= any[2]) then
    capacity.next = capacity.next + 1
    return own[1]
  end
  next_of_anyones = next_of_anyones + 1
  return any[1]
end

local turns = {}

local function send(id, capacity)
  local job, fault = load(id)
  if not job then
    -- Nothing that can be read says in which line it stood.
    redis.call('ZREM', READY, id)
    redis.call('ZREM', ready_of(capacity.account), id)
    if fault then set_aside(id, fault) end
    return false
  end
  dequeue(job)
  if job.state ~= 'queued' then
    -- A stale entry: the job stands somewhere else by now.
    save(job)
    return false
  end
  local cap, always
  if A.caps then cap, always = over_budget(job, cost_of(job, A.prices), A.caps) end
  if cap then
    over_the_cap(job, cap, always, A.caps)
    save(job)
    return false
  end
  job.account = capacity.account
  enter_flight(job, capacity.account)
  lease(job, 'create', A.lease)
  redis.call('ZADD', WINDOW_CREATE .. capacity.account, NOW, permit_of_lease(job))
  if capacity.probes then
    try_with('probe', id, capacity.account, A.lease)
    capacity.closed = NOW + A.lease
  end
  turns[job.priority] = math.max(turns[job.priority] or 0, job.turn)
  return true
end

while total > 0 do
  local capacity = freest()
  if not capacity then break end
  if send(take(capacity), capacity) then
    capacity.free, capacity.places, total = capacity.free - 1, capacity.places - 1, total - 1
  end
end
for priority, turn in pairs(turns) do turn_over(priority, turn) end

local function poll(job, capacity)
  job.polling = NOW
  lease(job, 'poll', A.poll_lease)
  redis.call('ZADD', WINDOW_POLL .. capacity.account, NOW, permit_of_lease(job))
end

local function into_line(wanted)
  for _, one in ipairs(wanted) do
    redis.call('ZREM', DUE, one.job.id)
    enqueue_poll(one.job, one.place)
  end
end

-- The polls that may be made, in the order of the line; those that are due need not stand in it if all may.
local function granted_polls(line, wanted, permits)
  local waiting = redis.call('ZCARD', line)
  if waiting + #wanted > permits then
    into_line(wanted)
    return front(line, permits)
  end
  local granted = front(line, waiting)
  for _, one in ipairs(wanted) do granted[#granted + 1] = {one.job.id, one.place, one.job} end
  table.sort(granted, function(one, other)
    if one[2] ~= other[2] then return one[2] < other[2] end
    return one[1] < other[1]
  end)
  return granted
end

for account, wanted in pairs(polls) do
  if not capacities[account] then into_line(wanted) end
end
for _, capacity in ipairs(capacities) do
  local line, limits = READY_POLLS .. capacity.account, capacity.limits
  local permits = math.min(limits.polls - counted(WINDOW_POLL .. capacity.account, poll_edge(limits)), A.batch)
  for _, one in ipairs(granted_polls(line, polls[capacity.account] or {}, permits)) do
    local id, job, fault = one[1], one[3]
    if not job then
      redis.call('ZREM', line, id)
      job, fault = load(id)
    end
    if fault then set_aside(id, fault) elseif job then poll(job, capacity) end
  end
end

common = redis.call('ZCARD', READY) > 0
for _, capacity in ipairs(capacities) do wake_at(plan_next_visit(capacity, common)) end
if #capacities >= MOST_VISITS then wake_at(NOW) end

local function first_time(index, from)
  local entry = redis.call('ZRANGEBYSCORE', index, from, '+inf', 'WITHSCORES', 'LIMIT', 0, 1)
  if entry[2] then wake_at(tonumber(entry[2])) end
end

first_time(DUE, '-inf')
first_time(OVER_BUDGET, '-inf')
first_time(EXPIRING, '-inf')
-- Those accounts that this claim might have visited and has not are other workers', or have nothing to do.
first_time(ACTIVE, after(NOW))
if common then first_time(OPEN, after(NOW)) end
return {steps, unreadable, wake < FOR_EVER and math.max(0, math.floor(wake - NOW)) or -1}
