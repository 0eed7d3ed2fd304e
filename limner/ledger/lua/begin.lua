-- Uses: record, wakeup, journal, quota, pauses, ready, money, caps, epoch.
-- Begins an attempt: queued -> sending. The attempt is on record before its request is sent. The same token gets the
-- same grant again, so that a caller can repeat the call after a lost reply.
-- Arguments: job; lease; token; epoch, or nothing, moves and attempts, as the worker saw them last; send_lease,
-- store_lease and deadline (milliseconds); prices and caps, or nothing.
-- Reply: {'granted', attempt, tries, request, account, faults, epoch, number}, the last being the attempt's number in the
-- epoch, 0 in a repetition; {'late'} after the job's deadline; {'stale'} if the lease
-- belongs to another step, or if the job must wait again.
local job, fault = load(A.job)
if fault then return fault end
if not job then return {'stale'} end

local epoch = current_epoch()

local function granted(number)
  return {'granted', job.attempt, job.attempt - (job.uncounted or 0), job.request, job.account, job.faulted or 0,
    epoch.id or '', number}
end

if job.state == 'sending' and of_attempt(job, 'token', job.attempt) == A.token then return granted(0) end
-- A used or expired lease keeps its number on the record, but not its slot in flight.
if job.state ~= 'queued' or job.lease ~= A.lease or not job.slot then return {'stale'} end

local waited = math.max(0, NOW - (job.ready_since or NOW))
if job.deadline and NOW - waited >= job.deadline then return {'late'} end

local account = job.account
local permit, window = permit_of_lease(job), WINDOW_CREATE .. account
local limits = quota_of(account, {'creates_span', 'first_margin', 'margin'})
local since, pause = tonumber(redis.call('ZSCORE', window, permit)), pause_on(account)
local cost = cost_of(job, A.prices)
-- A permit that has left the window no longer counts there, so the job needs another one.
local lapsed = not since or not limits or since <= create_edge(limits)
local wait = lapsed or pause and pause.probe ~= A.job or job.expires and NOW >= job.expires
-- What is waiting, the next claim decides about: a message may be as old as the data that came back.
wait = wait or not epoch.id or is_behind(epoch) or quiet_until(epoch, limits) > NOW or may_have_been_sent(job, epoch)
local cap, always
if not wait then cap, always = over_budget(job, cost, A.caps) end
if wait or cap then
  if wait then enqueue(job) end
  take_back(job)
  redis.call('ZREM', DUE, A.job)
  if cap then over_the_cap(job, cap, always, A.caps) end
  save(job)
  notify()
  return {'stale'}
end

job.attempt = job.attempt + 1
set_of_attempt(job, 'token', job.attempt, A.token)
set_of_attempt(job, 'account', job.attempt, account)
job.state, job.sent, job.permit = 'sending', NOW, A.lease
if job.deadline then
  job.deadline = job.deadline + waited
else
  job.deadline, job.allowance = NOW + A.deadline, A.deadline
end
job.over_budget_reported, job.answered, job.ready_since = nil, nil, nil
leave_lane(job)
if cost > 0 then hold(job, job.attempt, cost) end
if pause then try_with('probe', A.job, account, A.send_lease) end
-- The provider counts requests from their sending, and so does the window.
redis.call('ZADD', window, 'XX', NOW, permit)
schedule(job, NOW + A.send_lease)
announce(job, 'sending', {attempt = job.attempt, account = account ~= MAIN and account or nil})
save(job)
return granted(redis.call('HINCRBY', EPOCH, 'attempts', 1))
