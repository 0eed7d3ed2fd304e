-- sending -> queued: the provider refused this attempt and may take a later one. With `pause`, no job of the
-- account is sent for a while. An attempt with it, or with `pardon`, does not count, and neither does the pardon's time.
-- With `unsent`, the request never reached the provider, and its permit is free. Returns 1, or 0 when the step is
-- stale.
local state, attempt = get(A.job, 'state', 'attempt')
local current, account = tonumber(attempt) == A.attempt, account_of(A.job, A.attempt)
-- The job may have been cancelled meanwhile. What the provider says of its account is news all the same, and that
-- this attempt costs nothing.
if not (ended(state) or state == 'sending' and current) then return 0 end
owe_nothing(A.job, A.attempt)
if current and A.error.cause == 'rate_limited' then too_often(A.job, account) end
if current and A.unsent then return_permit(creates_of(account), permit_of(A.job)) end
local left
if A.pause then
  if A.pause.credits then A.pause.needs = math.max(1, tonumber(get(A.job, 'cost')) or 1) end
  left = pause(account, A.pause, A.job)
end
if ended(state) then return 0 end
redis.call('HSET', record(A.job), 'state', 'queued', 'last_error', cjson.encode(A.error))
if not A.pause then
  if A.unsent then no_probe(A.job, A.delay) else probe_refused(A.job) end
end
leave_flight(A.job)
schedule(A.job, NOW + A.delay)
announce(A.job, 'refused', {attempt = A.attempt, error = A.error, next = A.delay,
  pause = A.pause and not A.pause.key and left or nil})
local adopted = go_on_looking(A.job)
if not adopted then watch_expiry(A.job) end
-- A server fault may be told of a task that was made all the same.
if A.error.cause == 'server_fault' then redis.call('HSET', record(A.job), 'faulted', 1) end
if A.pardon or A.pause then
  local pardoned = redis.call('HINCRBY', record(A.job), 'pardoned', 1)
  if pardoned == A.attempt and not adopted then
    redis.call('HDEL', record(A.job), 'deadline')
  elseif A.pardon then
    redis.call('HINCRBY', record(A.job), 'deadline', int(A.pardon))
  end
  -- No callback can come for it, and there may be thousands.
  redis.call('HDEL', record(A.job), 'token:' .. A.attempt, 'account:' .. A.attempt)
end
return 1
