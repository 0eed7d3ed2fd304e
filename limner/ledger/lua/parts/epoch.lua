-- Uses: record, wakeup, journal, pauses, ready, tasks.
-- The epoch: what shows that the ledger's data was emptied, or has gone back to an older state, as when a replica that
-- lagged took over, or a snapshot was restored.
--
-- `id` is random, and new whenever the data is found to be emptied or gone back. `moves` grows with the claims that
-- lease something and with registrations, `attempts` with each attempt. A worker remembers the last of each that it
-- has seen. Workers of the epoch `before` have lost the attempts after `lost_from`; `lost` is how many are known to be
-- lost, `known` how many of these the workers have named. Until all are named, a job that is older than the loss may
-- have been sent in it.
--
-- `server` names the process that runs the scripts. Another one may have older data than the one before, so nothing
-- is sent until `quiet`: each worker claims within that time, and tells what it remembers.

-- The name of the server's process, or '' if the server does not tell.
local function server_name()
  local told = redis.pcall('INFO', 'server')
  return type(told) == 'string' and string.match(told, 'run_id:(%w+)') or ''
end

-- The epoch, whose `id` is nil if there is none yet. Another server than the last one begins a quiet time.
local function current_epoch()
  local names = {'id', 'before', 'gap', 'server', 'moves', 'attempts', 'quiet', 'lost_from', 'lost', 'known',
    'since', 'recounted'}
  local values, epoch = redis.call('HMGET', EPOCH, unpack(names)), {}
  for at, name in ipairs(names) do
    epoch[name] = values[at] and (at <= 4 and values[at] or sane(values[at], 0, LARGEST - 1)) or nil
  end
  epoch.moves, epoch.attempts = epoch.moves or 0, epoch.attempts or 0
  local server = epoch.id and server_name()
  if server and server ~= '' and server ~= epoch.server then
    redis.call('HSET', EPOCH, 'server', server)
    if epoch.server then
      epoch.quiet = NOW + QUIET
      redis.call('HSET', EPOCH, 'quiet', int(epoch.quiet))
    end
  end
  return epoch
end

-- True if the worker knows another epoch, or a later state of this one.
local function is_behind(epoch)
  return A.epoch and (A.epoch ~= epoch.id or A.moves > epoch.moves or A.attempts > epoch.attempts)
end

-- Returns until when nothing may be sent: after a change of the server, and for a whole window after a loss, with
-- which the permits are lost as well.
local function quiet_until(epoch, limits)
  local till = 0
  if epoch.quiet and epoch.quiet <= NOW + QUIET then till = epoch.quiet end
  if epoch.recounted and epoch.recounted <= NOW then
    till = math.max(till, epoch.recounted + limits.creates_span + limits.margin)
  end
  return till
end

-- True if the job may have been sent in a part of the ledger's history that is lost.
local function may_have_been_sent(job, epoch)
  if not epoch.since or (epoch.lost or 0) <= (epoch.known or 0) or job.gap == epoch.gap then return false end
  return math.max(job.created, job.starts or 0) <= epoch.since
end

-- Puts a queued job in doubt about an attempt that nobody remembers.
local function doubt_over_gap(job, epoch)
  local why = {cause = 'ledger_gap', message = 'Redis has lost some of its last writes, and the job may have been sent'}
  take_back(job)
  dequeue(job)
  leave_lane(job)
  job.attempt = job.attempt + 1
  set_of_attempt(job, 'account', job.attempt, job.pinned or job.account or MAIN)
  job.gap, job.lease, job.state, job.ready_since = epoch.gap, job.lease + 1, 'in_doubt', nil
  job.last_error = cjson.encode(why)
  mark_doubtful(job, job.attempt)
  schedule(job, NOW)
  announce(job, 'in_doubt', {attempt = job.attempt, error = why})
end
