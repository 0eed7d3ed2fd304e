-- Uses: layout, record, wakeup, journal, ready, conflicts.
-- A new job, unless its id or its idempotency key is known already, or no worker serves the account that it
-- names. The id of a message is remembered for `remember` milliseconds, longer than the record if need be, since the
-- message may come again. `too_old` says that the message is older than that. Returns {'created'|'known', id},
-- {'conflict'|'gone', id, digest, created, now}, {'too_old', id} or {'no_account', names}.
local refusal = other_layout()
if refusal then return refusal end

local key = A.key and KEY .. A.key
if key then
  local known = redis.call('GET', key)
  if known then
    local first = redis.call('HMGET', JOB .. known, 'digest', 'created')
    if first[1] and first[1] ~= A.digest then return conflict(known, first[1], first[2], A.digest) end
    if first[1] then return {'known', known} end
  end
end
if redis.call('EXISTS', JOB .. A.job) == 1 then
  local job, fault = load(A.job)
  if fault then return fault end
  if job.digest ~= A.digest then return conflict(A.job, job.digest, job.created, A.digest) end
  return {'known', A.job}
end
if A.remember then
  local created, digest = string.match(redis.call('GET', TAKEN .. A.job) or '', '^(%d+) (.*)$')
  if created then return {'gone', A.job, digest, math.min(tonumber(created), NOW), NOW} end
  if A.too_old then return {'too_old', A.job} end
end
if A.account and redis.call('SISMEMBER', ACCOUNTS, A.account) == 0 then
  local names = redis.call('SRANDMEMBER', ACCOUNTS, MOST_NAMED)
  table.sort(names)
  if #names > 0 then return {'no_account', table.concat(names, ', ')} end
end

local job = new(A.job)
job.v, job.state, job.request, job.digest, job.metadata = VERSION, 'queued', A.request, A.digest, A.metadata
job.priority, job.lane, job.pinned, job.namespace = A.priority, A.lane, A.account, A.namespace
job.turn = next_turn(A.priority, A.lane or '', A.account)
job.created, job.lease, job.attempt, job.polls, job.waits = NOW, 0, 0, 0, 1
job.expires = A.expires_in and NOW + A.expires_in
job.celery, job.starts = A.celery, A.starts_in and NOW + A.starts_in
job.uncopied, job.folder = A.uncopied and 1 or nil, A.folder
watch_expiry(job)
if key then
  job.key, job.key_ttl = A.key, A.key_ttl
  redis.call('SET', key, A.job)
end
if A.remember then redis.call('SET', TAKEN .. A.job, int(NOW) .. ' ' .. A.digest, 'PX', A.remember) end
if job.starts then schedule(job, job.starts) else enqueue(job) end
announce(job, 'submitted', {next = A.starts_in})
save(job)
notify()
return {'created', A.job}
