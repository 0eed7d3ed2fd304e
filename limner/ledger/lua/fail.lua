-- Uses: record, journal, quota, pauses, money, tasks, ends.
-- Ends a job with an error: any state named in `come_from` -> failed, if the step's lease or attempt is current.
-- Arguments: job, outcome, come_from, lease or nothing, attempt or nothing; refused, if the attempt certainly costs
-- nothing; pause, or nothing, if the answer says something about the account; store_lease (milliseconds).
-- Reply: {record, news for the log}. The record is flat; {} if the step is stale, or if an earlier attempt has a task to
-- wait for.
local job, fault = load(A.job)
if fault then return fault end
if not job then return {{}, ''} end
if job.state == 'failed' and job.outcome == A.outcome then return {redis.call('HGETALL', JOB .. A.job), ''} end

-- A refused attempt costs nothing, even if its job was cancelled in the meantime.
local current = not A.attempt or job.attempt == A.attempt
if A.refused and (has_outcome(job.state) or job.state == 'sending' and current) then
  owe_nothing(job, A.attempt)
end
local allowed = current and (not A.lease or job.lease == A.lease)
if not allowed or not A.come_from[job.state] then
  save(job)
  return {{}, ''}
end

local news
local detail = {error = decoded(A.outcome).error}
if job.state == 'sending' then
  local account = account_of(job, job.attempt)
  heard(account)
  if A.pause then
    news = select(2, take_in(account, A.pause, job))
  else
    news = end_probe_refused(job)
    if not news then widen_ramp(account, 1) end
  end
  if go_on_polling(job) then
    note(job, 'attempt_failed', detail)
    save(job)
    return {{}, news or ''}
  end
end
finish(job, 'failed', A.outcome, detail)
save(job)
return {record_to_store(job, 'ended'), news or ''}
