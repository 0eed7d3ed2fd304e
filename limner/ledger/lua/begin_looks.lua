-- Uses: record, bell, quota, lines.
-- Looks are about to be made: their permits count from now. `looks` has {job, lease} pairs. Returns {time, records}:
-- for each look the record, flat, or {} when the step belongs to somebody else, must wait again because its permit
-- has left the window and no other one is free, or has a record that cannot be read.
local records, limits = {}, {}

local function begin(id, lease)
  local job = load(id)
  if not job or job.lease ~= lease or not (job.state == 'generating' or ended(job.state)) then return false end
  if not job.looking or not redis.call('ZSCORE', DUE, id) then return false end
  local account = reader_of(job)
  if limits[account] == nil then limits[account] = limits_of(account) or false end
  local window, permit, allowed = WINDOW_LOOK .. account, id .. ':' .. lease, limits[account]
  local since = allowed and tonumber(redis.call('ZSCORE', window, permit))
  if allowed and not (since and since > look_edge(allowed))
    and counted(window, look_edge(allowed)) >= allowed.looks then
    take_back_look(job, job.looking)
    save(job)
    ring()
    return false
  end
  redis.call('ZADD', window, NOW, permit)
  redis.call('ZADD', DUE, NOW + A.look_lease, id)
  job.looking = NOW
  save(job)
  return true
end

for at, look in ipairs(A.looks) do
  records[at] = begin(look[1], look[2]) and redis.call('HGETALL', JOB .. look[1]) or {}
end
return {NOW, records}
