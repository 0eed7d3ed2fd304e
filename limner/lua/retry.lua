-- sending -> queued: the provider refused this attempt and may take a later one. With `pause`, no job of the
-- account is sent for that long, and the attempt does not count. Returns 1, or 0 when the step is stale.
local state, attempt = get(A.job, 'state', 'attempt')
if state ~= 'sending' or tonumber(attempt) ~= A.attempt then return 0 end
redis.call('HSET', record(A.job), 'state', 'queued', 'last_error', cjson.encode(A.error))
leave_flight(A.job)
schedule(A.job, NOW + A.delay)
announce(A.job, 'refused', {attempt = A.attempt, error = A.error, next = A.delay})
local adopted = go_on_looking(A.job)
if A.pause then
  -- Waiting for the account is not the job's own time.
  local pardoned = redis.call('HINCRBY', record(A.job), 'pardoned', 1)
  if pardoned == A.attempt and not adopted then
    redis.call('HDEL', record(A.job), 'deadline')
  else
    redis.call('HINCRBY', record(A.job), 'deadline', int(A.pause))
  end
  local paused = tonumber(redis.call('GET', P .. 'paused') or 0) or 0
  if NOW + A.pause > paused then redis.call('SET', P .. 'paused', int(NOW + A.pause), 'PX', int(A.pause)) end
  announce(A.job, 'paused', {seconds = A.pause / 1000, error = A.error})
end
return 1
