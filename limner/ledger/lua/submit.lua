-- Uses: layout, record, wakeup, journal, ready.
-- A new job, unless its id or its idempotency key is known already, or no worker serves the account that it
-- names. Returns {'created'|'known'|'conflict', id} or {'no_account', names}.
local refusal = other_layout()
if refusal then return refusal end
local key = A.key and KEY .. A.key
if key then
  local known = redis.call('GET', key)
  if known then
    local digest = redis.call('HGET', JOB .. known, 'digest')
    if digest and digest ~= A.digest then return {'conflict', known} end
    if digest then return {'known', known} end
  end
end
if redis.call('EXISTS', JOB .. A.job) == 1 then
  local _, fault = load(A.job)
  return fault or {'known', A.job}
end
if A.account and redis.call('SISMEMBER', ACCOUNTS, A.account) == 0 then
  local names = redis.call('SMEMBERS', ACCOUNTS)
  table.sort(names)
  if #names > 0 then return {'no_account', table.concat(names, ', ')} end
end

local job = new(A.job)
job.v, job.state, job.request, job.digest, job.metadata = VERSION, 'queued', A.request, A.digest, A.metadata
job.priority, job.lane, job.pinned = A.priority, A.lane, A.account
job.turn = next_turn(A.priority, A.lane or '', A.account)
job.created, job.lease, job.attempt, job.polls, job.waits = NOW, 0, 0, 0, 1
job.expires = A.expires_in and NOW + A.expires_in
job.celery, job.starts = A.celery, A.starts_in and NOW + A.starts_in
watch_expiry(job)
if key then
  job.key, job.key_ttl = A.key, A.key_ttl
  redis.call('SET', key, A.job)
end
if job.starts then schedule(job, job.starts) else enqueue(job) end
announce(job, 'submitted', {next = A.starts_in})
save(job)
notify()
return {'created', A.job}
