-- Uses: record, clock.
-- Moves the ledger's times after a step of the server's clock: those of all indexes, windows, pauses and quotas, and of
-- all jobs that have a time to wait for. A job in a ready queue needs no move, since its deadline stands still there.
-- Arguments: registration; expected, the time by the worker's own clock, or nothing.
-- Reply: the step in milliseconds; 0 if there was none, or if another worker has moved the times already.
local last_claim = sane(redis.call('ZSCORE', REGISTRATIONS, A.registration), 0, FOR_EVER - 1)
local step = last_claim and step_of_clock(last_claim, A.expected) or 0
if step == 0 then return 0 end

-- Moves the times of an index. Returns its members.
local function move(index)
  local entries, members, moved = redis.call('ZRANGE', index, 0, -1, 'WITHSCORES'), {}, {index, 'XX'}
  for at = 1, #entries, 2 do
    local score = tonumber(entries[at + 1])
    members[#members + 1] = entries[at]
    if score < FOR_EVER then
      moved[#moved + 1] = score + step
      moved[#moved + 1] = entries[at]
    end
    if #moved > PIECE or (at + 2 > #entries and #moved > 2) then
      redis.call('ZADD', unpack(moved))
      moved = {index, 'XX'}
    end
  end
  return members
end

local function move_fields(key, names)
  for at, value in ipairs(redis.call('HMGET', key, unpack(names))) do
    local time = sane(value, 0, FOR_EVER - 1)
    if time then redis.call('HSET', key, names[at], int(time + step)) end
  end
end

local jobs = {}

local function move_jobs(index)
  for _, id in ipairs(move(index)) do jobs[id] = true end
end

local function moved(time) return time and time + step end

move_jobs(DUE)
move_jobs(EXPIRING)
move_jobs(COPIES)
for _, index in ipairs({COPIES_FAILED, OVER_BUDGET, ACTIVE, OPEN, MAINTAINED, REGISTRATIONS, DOUBTS, APART}) do move(index) end
for _, account in ipairs(redis.call('SMEMBERS', ACCOUNTS)) do
  move_jobs(READY_POLLS .. account)
  for _, index in ipairs({WINDOW_CREATE, WINDOW_ANSWER, WINDOW_POLL, IN_FLIGHT}) do move(index .. account) end
  move_fields(PAUSE .. account, {'until', 'probe_until', 'since', 'sent'})
  move_fields(QUOTA .. account, {'refused_at', 'raise_at', 'poll_refused_at', 'ramp_until', 'heard', 'flight_raise_at',
    'flight_refused_at'})
end
for id in pairs(jobs) do
  local job = load(id)
  if job then
    job.deadline, job.expires, job.ready_since = moved(job.deadline), moved(job.expires), moved(job.ready_since)
    job.starts, job.copy_since = moved(job.starts), moved(job.copy_since)
    job.sent, job.polling, job.seen = moved(job.sent), moved(job.polling), moved(job.seen)
    job.signalled, job.held, job.imageless = moved(job.signalled), moved(job.held), moved(job.imageless)
    save(job)
  end
end
return step
