-- Uses: ready, tasks, keeping.
-- The result in Celery's backend: the record's time to live once it is stored and, if the backend is this server,
-- storing it.

-- No task is polled any more: the record gets a time to live, unless copies are due. The idempotency key has its own
-- time to live from the end of the job on, and the record lasts at least as long.
local function expire_record(job, ttl)
  redis.call('ZREM', DUE, job.id)
  local longer = math.max(1, ttl, job.key_ttl or 0)
  if job.copies then
    if redis.call('ZSCORE', COPIES, job.id) then return keep_record(job) end
    if redis.call('ZSCORE', COPIES_FAILED, job.id) then longer = math.max(longer, KEEP_UNCOPIED) end
  end
  redis.call('PEXPIRE', JOB .. job.id, longer)
  redis.call('PEXPIRE', LOG .. job.id, longer)
  if job.key and redis.call('GET', KEY .. job.key) == job.id then
    redis.call('PEXPIRE', KEY .. job.key, math.max(1, job.key_ttl or 1))
  end
end

-- Marks the result as stored. If a task of the job is still open, late polls begin after `follow`.
local function result_is_stored(job, times)
  local first = not job.stored
  job.stored = 1
  if not open_task(tasks_of(job)) then
    expire_record(job, times.ttl)
  elseif first then
    poll_in(job, times.follow)
  end
end

-- Milliseconds since the epoch as pydantic writes a time: the days are Howard Hinnant's civil_from_days.
local function iso(time)
  local seconds, ms = math.floor(time / 1000), time % 1000
  local days, second = math.floor(seconds / 86400), seconds % 86400
  local z = days + 719468
  local era = math.floor(z / 146097)
  local doe = z - era * 146097
  local yoe = math.floor((doe - math.floor(doe / 1460) + math.floor(doe / 36524) - math.floor(doe / 146096)) / 365)
  local doy = doe - (365 * yoe + math.floor(yoe / 4) - math.floor(yoe / 100))
  local mp = math.floor((5 * doy + 2) / 153)
  local month = mp < 10 and mp + 3 or mp - 9
  local year = yoe + era * 400 + (month <= 2 and 1 or 0)
  local fraction = ms > 0 and string.format('.%03d000', ms) or ''
  return string.format('%04d-%02d-%02dT%02d:%02d:%02d%sZ', year, month, doy - math.floor((153 * mp + 2) / 5) + 1,
    math.floor(second / 3600), math.floor(second / 60) % 60, second % 60, fraction)
end

-- Stores the text with the time of the end between its two halves, since the text was made before the end. Returns
-- false if the job has a later attempt, whose time the text lacks.
local function store_result(job, result)
  if job.attempt ~= result.attempt then return false end
  local text = result.head .. iso(NOW) .. result.tail
  redis.call('SETEX', result.key, result.expires, text)
  redis.pcall('PUBLISH', result.key, text)
  return true
end
