-- Uses: record, quota, pauses, ready, money, ends, caps, capacity, apart, clock, epoch.
-- Takes what may happen now, and leases each step to the caller, which has registered its accounts (register.lua).
-- Arguments: registration; epoch, or nothing, moves and attempts, as the worker saw them last; expected, the time by the
-- worker's own clock, or nothing; lease, poll_lease, copy_lease,
-- store_lease (milliseconds); copies, the most jobs whose images are to be copied; batch, the most steps of another
-- kind (of polls, for each account); expired, the outcome of a job that expires; prices and caps, or nothing.
-- Reply: {steps, unreadable, wait, time, epoch, moves, attempts}. `steps` are {id, step, lease} triples; a step `credits` is about an account and
-- not a job. `unreadable` has an error text for each record that is set apart now. `wait` is in milliseconds, until
-- there is more to do; -1 means that only a wake-up can bring more. The reply is 'unknown' if the caller has to
-- register first, 'stepped' if the server's clock was stepped: shift_clock.lua corrects the times; and 'behind' if the
-- ledger has lost what the worker has seen: it calls recall.lua.
local last_claim = sane(redis.call('ZSCORE', REGISTRATIONS, A.registration), 0, FOR_EVER - 1)
if not last_claim then return 'unknown' end
local epoch = current_epoch()
if not epoch.id then return 'unknown' end
if is_behind(epoch) then return 'behind' end
if step_of_clock(last_claim, A.expected) ~= 0 then return 'stepped' end
if NOW - last_claim >= CLAIMED_EVERY then redis.call('ZADD', REGISTRATIONS, NOW, A.registration) end

local steps, unreadable, wake = {}, {}, FOR_EVER

local function wake_at(time) wake = math.min(wake, time) end

local function lease(job, step, span)
  job.lease = job.lease + 1
  redis.call('ZADD', DUE, NOW + span, job.id)
  steps[#steps + 1] = {job.id, step, job.lease}
  save(job)
end

-- Keeps an unreadable record out of the next claims.
local function set_aside(id, fault, index)
  if set_apart(id, fault.err, index or DUE) then unreadable[#unreadable + 1] = fault.err end
end

-- The due entries of an index, as a flat list of members and times.
local function due(index, most)
  local first = redis.call('ZRANGE', index, 0, 0, 'WITHSCORES')
  if not first[2] or tonumber(first[2]) > NOW then return {} end
  return redis.call('ZRANGEBYSCORE', index, '-inf', NOW, 'WITHSCORES', 'LIMIT', 0, most)
end

-- A job that was not sent in time expires. A job on the wire returns to this index if it is refused.
local late = due(EXPIRING, math.min(A.batch, MOST_EXPIRED))
for i = 1, #late, 2 do
  local id = late[i]
  local job, fault = load(id)
  redis.call('ZREM', EXPIRING, id)
  if fault then
    redis.call('ZADD', EXPIRING, NOW + TRY_APART_EVERY, id)
  elseif job and job.state == 'queued' then
    finish(job, 'expired', A.expired, {error = decoded(A.expired).error})
    save(job)
  end
end

-- A due job goes on by itself, or needs a permit: it gets one now, or waits for one in a ready queue.
local polls = {}

local function request_poll(job, score)
  local account = reader_of(job)
  polls[account] = polls[account] or {}
  table.insert(polls[account], {job = job, score = score})
end

local entries = due(DUE, A.batch)
-- Only as many copies as this worker has room for, since they take long and others may need the threads.
local uncopied = A.copies > 0 and redis.call('ZRANGEBYSCORE', COPIES, '-inf', NOW, 'LIMIT', 0, A.copies) or {}
local some_apart = #entries + #uncopied > 0 and redis.call('ZCARD', APART) > 0
for i = 1, #entries, 2 do
  local id, at = entries[i], tonumber(entries[i + 1])
  local job, fault = load(id)
  if some_apart and not fault then not_apart(id) end
  if fault then
    set_aside(id, fault)
  elseif not job then
    redis.call('ZREM', DUE, id)
    redis.call('DEL', LOG .. id)
  elseif job.state == 'queued' and job.starts and job.starts > NOW then
    -- It was set apart, and is put back before its start.
    redis.call('ZADD', DUE, job.starts, id)
  elseif job.state == 'queued' then
    redis.call('ZREM', DUE, id)
    take_back(job)
    enqueue(job, at)
    save(job)
  elseif job.state == 'generating' then
    request_poll(job, poll_score(job, at + (job.pace or 0)))
  elseif job.stored then
    -- The late poll of a job that has ended: polls of jobs that have not ended go first.
    request_poll(job, NOW + AHEAD)
  else
    lease(job, 'recover', A.lease)
  end
end

for _, id in ipairs(uncopied) do
  local job, fault = load(id)
  if some_apart and not fault then not_apart(id) end
  if fault then
    set_aside(id, fault, COPIES)
  elseif not job or not job.copies then
    redis.call('ZREM', COPIES, id)
    if not job then redis.call('DEL', LOG .. id) end
  else
    job.copy_lease = (job.copy_lease or 0) + 1
    redis.call('ZADD', COPIES, NOW + A.copy_lease, id)
    steps[#steps + 1] = {id, 'copy', job.copy_lease}
    save(job)
  end
end

local spent_caps = due(OVER_BUDGET, MOST_CAPS)
local tried = math.ceil(TRY_OVER_BUDGET / math.max(1, #spent_caps / 2))
for i = 1, #spent_caps, 2 do try_over_budget(spent_caps[i], A.prices, A.caps, tried) end

-- The claim visits the accounts that have something due, and accounts that may send jobs of the common queue.
local capacities, free, common = {}, 0, redis.call('ZCARD', READY)

local function ask(account)
  local number = redis.call('INCR', CHECKS)
  try_with('check', number, account, A.lease)
  steps[#steps + 1] = {account, 'credits', number}
end

local function visit(account, key)
  if capacities[account] then return capacities[account] end
  local capacity = capacity_of(account, key, ask, polls[account], epoch)
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

-- The first jobs of a ready queue, as {id, score} pairs.
local function front(queue, count)
  local found = count > 0 and redis.call('ZRANGE', queue, 0, count - 1, 'WITHSCORES') or {}
  local jobs = {}
  for i = 1, #found, 2 do jobs[#jobs + 1] = {found[i], tonumber(found[i + 1])} end
  return jobs
end

-- The jobs to choose from: with caps, more than may be sent, since some may be over budget.
local function candidates(queue, count) return front(queue, count > 0 and A.caps and count + A.batch or count) end

local total = math.min(free, A.batch)
local shared, next_shared = candidates(READY, common > 0 and total or 0), 1
for _, capacity in ipairs(capacities) do
  capacity.own = candidates(ready_of(capacity.account), math.min(math.max(0, capacity.free), total))
end

-- The account with the most capacity takes the next job, from the common queue or from its own.
local function freest()
  local best
  for _, capacity in ipairs(capacities) do
    local more = capacity.free > 0 and (capacity.own[capacity.next] or shared[next_shared])
    if more and (not best or capacity.free > best.free) then best = capacity end
  end
  return best
end

local function take(capacity)
  local own, common_job = capacity.own[capacity.next], shared[next_shared]
  if own and (not common_job or own[2] <= common_job[2]) then
    capacity.next = capacity.next + 1
    return own[1]
  end
  next_shared = next_shared + 1
  return common_job[1]
end

local turns = {}

local function send(id, capacity)
  local job, fault = load(id)
  if not job then
    -- Without a readable record, nothing says which of the two queues holds the job.
    redis.call('ZREM', READY, id)
    redis.call('ZREM', ready_of(capacity.account), id)
    if fault then set_aside(id, fault) else redis.call('DEL', LOG .. id) end
    return false
  end
  dequeue(job)
  if job.state ~= 'queued' then
    -- The entry is stale: the job is in another index by now.
    save(job)
    return false
  end
  if may_have_been_sent(job, epoch) then
    doubt_over_gap(job, epoch)
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
  local limits = capacity.limits
  if limits.ramp and not capacity.probes then
    limits.ramp = limits.ramp - 1
    redis.call('HINCRBY', QUOTA .. capacity.account, 'ramp', -1)
  end
  if capacity.probes then
    try_with('probe', id, capacity.account, A.lease)
    capacity.closed = NOW + A.lease
  end
  local last = turns[job.priority] or {turn = 0, sent = 0}
  turns[job.priority] = {turn = math.max(last.turn, job.turn), sent = last.sent + 1}
  return true
end

while total > 0 do
  local capacity = freest()
  if not capacity then break end
  if send(take(capacity), capacity) then
    capacity.free, capacity.slots, total = capacity.free - 1, capacity.slots - 1, total - 1
  end
end
for priority, last in pairs(turns) do turn_over(priority, last.turn, last.sent) end

local function poll(job, capacity)
  job.polling = NOW
  lease(job, 'poll', A.poll_lease)
  redis.call('ZADD', WINDOW_POLL .. capacity.account, NOW, permit_of_lease(job))
end

local function enqueue_polls(requested)
  for _, one in ipairs(requested) do
    redis.call('ZREM', DUE, one.job.id)
    enqueue_poll(one.job, one.score)
  end
end

-- The polls that may be made now, in the order of the ready queue. If there are permits for all, the requested polls
-- skip the queue, which saves writing them to it.
local function granted_polls(queue, requested, permits)
  local waiting = redis.call('ZCARD', queue)
  if waiting + #requested > permits then
    enqueue_polls(requested)
    return front(queue, permits)
  end
  local granted = front(queue, waiting)
  for _, one in ipairs(requested) do granted[#granted + 1] = {one.job.id, one.score, one.job} end
  table.sort(granted, function(one, other)
    if one[2] ~= other[2] then return one[2] < other[2] end
    return one[1] < other[1]
  end)
  return granted
end

for account, requested in pairs(polls) do
  if not capacities[account] then enqueue_polls(requested) end
end
for _, capacity in ipairs(capacities) do
  local queue, limits = READY_POLLS .. capacity.account, capacity.limits
  local permits = math.min(limits.polls - counted(WINDOW_POLL .. capacity.account, poll_edge(limits)), A.batch)
  for _, one in ipairs(granted_polls(queue, polls[capacity.account] or {}, permits)) do
    local id, job, fault = one[1], one[3]
    if not job then
      redis.call('ZREM', queue, id)
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
-- Those that are due already wait for room, and the end of a copy wakes a dispatcher.
if A.copies > 0 then first_time(COPIES, after(NOW)) end
-- Accounts that are due already and were not visited belong to other workers, or have nothing to do.
first_time(ACTIVE, after(NOW))
if common then first_time(OPEN, after(NOW)) end
if #steps > 0 then epoch.moves = redis.call('HINCRBY', EPOCH, 'moves', 1) end
return {steps, unreadable, wake < FOR_EVER and math.max(0, math.floor(wake - NOW)) or -1, NOW, epoch.id, epoch.moves,
  epoch.attempts}
