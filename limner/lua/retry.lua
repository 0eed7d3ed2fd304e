-- sending -> queued: the provider refused this attempt and may take a later one. With `pardon`, so many
-- milliseconds are not the job's own time, and the attempt does not count; with `pause`, no job of the account is
-- sent for that long. Returns 1, or 0 when the step is stale.
local state, attempt = get(A.job, 'state', 'attempt')
if state ~= 'sending' or tonumber(attempt) ~= A.attempt then return 0 end
redis.call('HSET', record(A.job), 'state', 'queued', 'last_error', cjson.encode(A.error))
leave_flight(A.job)
schedule(A.job, NOW + A.delay)
announce(A.job, 'refused', {attempt = A.attempt, error = A.error, next = A.delay})
local adopted = go_on_looking(A.job)
-- A server fault may be told of a task that was made all the same.
if A.error.cause == 'server_fault' then redis.call('HSET', record(A.job), 'faulted', 1) end
if A.pardon then
  local pardoned = redis.call('HINCRBY', record(A.job), 'pardoned', 1)
  if pardoned == A.attempt and not adopted then
    redis.call('HDEL', record(A.job), 'deadline')
  else
    redis.call('HINCRBY', record(A.job), 'deadline', int(A.pardon))
  end
  -- No callback can come for it, and there may be thousands.
  redis.call('HDEL', record(A.job), 'token:' .. A.attempt)
end
if A.pause then
  local paused = tonumber(redis.call('GET', P .. 'paused') or 0) or 0
  if NOW + A.pause > paused then redis.call('SET', P .. 'paused', int(NOW + A.pause), 'PX', int(A.pause)) end
  announce(A.job, 'paused', {seconds = A.pause / 1000, error = A.error})
end
return 1
