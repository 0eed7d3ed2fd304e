-- Uses: record, wakeup, journal, quota, pauses, ready, money, tasks, epoch.
-- A worker has seen another epoch, or a later state of this one: the data was emptied, or has gone back. It tells what
-- it remembers, and the attempts that are lost go on record again, as on the wire: their answers follow.
-- Arguments: epoch, moves and attempts, as the worker saw them last; fresh, the id of a new epoch; sent, the attempts
-- that the worker remembers: {job, attempt, token, account, number, refused}, where the number is 0 for one of another
-- epoch; send_lease (milliseconds); prices, or nothing.
-- Reply: {what, id, moves, attempts, restored}. `what` is 'rolled_back', 'emptied', or 'known' if another worker has found
-- the same before, or if nothing is lost.
local epoch = current_epoch()
local what = 'known'

if A.epoch == epoch.id and (A.moves > epoch.moves or A.attempts > epoch.attempts) then
  what = 'rolled_back'
  -- The change of the server, if that was the cause, is when the data went back.
  local since = epoch.quiet and epoch.quiet > NOW - LONGEST_SILENCE and math.min(NOW, epoch.quiet - QUIET) or NOW
  epoch.lost_from, epoch.lost, epoch.known = epoch.attempts, math.max(0, (epoch.lost or 0) - (epoch.known or 0)), 0
  epoch.before, epoch.id = epoch.id, A.fresh
  redis.call('HSET', EPOCH, 'id', epoch.id, 'before', epoch.before, 'gap', epoch.id, 'since', int(since),
    'lost_from', int(epoch.lost_from), 'lost', int(epoch.lost), 'known', 0, 'seen', int(epoch.attempts),
    'found', int(NOW), 'recounted', int(NOW), 'found_as', what)
  redis.call('DEL', EPOCH_KNOWN)
  announce_account('', 'rolled_back', {moves = A.moves - epoch.moves, attempts = math.max(0, A.attempts - epoch.attempts)})
elseif A.epoch ~= epoch.id and A.epoch ~= epoch.before then
  -- The first worker to find it tells it; the others only come to know the new epoch.
  if redis.call('HSETNX', EPOCH, 'emptied', int(NOW)) == 1 then
    what = 'emptied'
    redis.call('HSET', EPOCH, 'found', int(NOW), 'recounted', int(NOW), 'found_as', what)
    announce_account('', 'emptied', {})
  end
end

-- The attempts that are lost: up to the last one that any worker has seen.
local goes_back = A.epoch == epoch.before and epoch.lost_from
if goes_back then
  local seen = sane(redis.call('HGET', EPOCH, 'seen'), 0, LARGEST - 1) or epoch.lost_from
  if A.attempts > seen then
    redis.call('HINCRBY', EPOCH, 'lost', int(A.attempts - seen))
    redis.call('HSET', EPOCH, 'seen', int(A.attempts))
  end
end

-- Puts an attempt on record again that the record does not have. Returns true if it did.
local function restore(id, attempt, token, account)
  local job = load(id)
  if not job or job.attempt >= attempt then return false end
  if not has_outcome(job.state) then
    take_back(job)
    dequeue(job)
    dequeue_poll(job)
    leave_lane(job)
    -- It was sent once more, so an earlier doubt had been decided.
    if job.doubtful then
      leave_attempt_doubtful(job, job.doubtful)
      clear_doubt(job)
    end
    enter_flight(job, account)
    job.lease, job.state, job.sent, job.polling, job.held = job.lease + 1, 'sending', NOW, nil, nil
    job.deadline, job.ready_since = job.deadline or NOW + USUAL_TIME, nil
    schedule(job, NOW + A.send_lease)
  end
  job.attempt, job.account = attempt, account
  set_of_attempt(job, 'token', attempt, token)
  set_of_attempt(job, 'account', attempt, account)
  local cost = cost_of(job, A.prices)
  if cost > 0 and job.state == 'sending' then hold(job, attempt, cost) end
  announce(job, 'restored', {attempt = attempt})
  save(job)
  return true
end

local restored = 0
for _, each in ipairs(A.sent) do
  local id, attempt, token, account, number, refused = unpack(each)
  if goes_back and number > epoch.lost_from then
    if redis.call('SADD', EPOCH_KNOWN, int(number)) == 1 then redis.call('HINCRBY', EPOCH, 'known', 1) end
  end
  -- Whatever the epoch is: the data may have gone back a second time, or come back after it was emptied.
  if not refused and restore(id, attempt, token, account) then restored = restored + 1 end
end
if goes_back then redis.call('PEXPIRE', EPOCH_KNOWN, DAY) end
notify()
return {what, epoch.id or '', epoch.moves, epoch.attempts, restored}
