-- Uses: record, wakeup, quota, ready.
-- Polls are about to be made: their permits count from now. `polls` has {job, lease} pairs. Returns {time, records}:
-- for each poll the record, flat, or {} when the step belongs to somebody else, must wait again because its permit
-- has left the window and no other one is free, or has a record that cannot be read.
local records, limits = {}, {}

local function begin(id, lease)
  local job = load(id)
  if not job or job.lease ~= lease or not (job.state == 'generating' or ended(job.state)) then return false end
  if not job.polling or not redis.call('ZSCORE', DUE, id) then return false end
  -- The lease is over: the worker was stopped, or the clock was stepped. The job is due again.
  if NOW - job.polling > A.poll_lease then return false end
  local account = reader_of(job)
  if limits[account] == nil then limits[account] = limits_of(account) or false end
  local window, permit, allowed = WINDOW_POLL .. account, id .. ':' .. lease, limits[account]
  local since = allowed and tonumber(redis.call('ZSCORE', window, permit))
  if allowed and not (since and since > poll_edge(allowed))
    and counted(window, poll_edge(allowed)) >= allowed.polls then
    take_back_poll(job, job.polling)
    save(job)
    notify()
    return false
  end
  redis.call('ZADD', window, NOW, permit)
  redis.call('ZADD', DUE, NOW + A.poll_lease, id)
  job.polling = NOW
  save(job)
  return true
end

for at, poll in ipairs(A.polls) do
  records[at] = begin(poll[1], poll[2]) and redis.call('HGETALL', JOB .. poll[1]) or {}
end
return {NOW, records}
