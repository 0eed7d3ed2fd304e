-- Uses: record, journal, pauses, tasks, ends.
-- Any state named in `come_from` -> failed, if the step still holds: by its lease, or by its attempt. With `refused`, the
-- attempt costs nothing for certain; with `unsent`, the provider has never had it. Returns the record, flat, or {} when
-- the step is stale, or when an earlier attempt has a task to wait for.
local job, fault = load(A.job)
if fault then return fault end
if not job then return {} end
if job.state == 'failed' and job.outcome == A.outcome then return redis.call('HGETALL', JOB .. A.job) end

-- An attempt that was refused for certain owes nothing, also if its job was cancelled meanwhile.
local current = not A.attempt or job.attempt == A.attempt
if A.refused and (ended(job.state) or job.state == 'sending' and current) then
  owe_nothing(job, A.attempt)
end
local allowed = current and (not A.lease or job.lease == A.lease)
if not allowed or not A.come_from[job.state] then
  save(job)
  return {}
end

local detail = {error = decoded(A.outcome).error}
if job.state == 'sending' then
  if not A.unsent then end_probe_refused(job) end
  if go_on_polling(job) then
    note(job, 'attempt_failed', detail)
    save(job)
    return {}
  end
end
finish(job, 'failed', A.outcome, detail)
save(job)
return record_to_store(job, 'ended')
