-- Uses: record, wakeup, pauses, ready.
-- Gives back claimed steps that no worker will take, and frees the permits to send and the slots of these steps.
-- Attempts that have begun, and steps whose lease has changed, stay as they are. The record does not say whether a
-- poll has been made, so a poll is made again and its permit stays used.
-- Arguments: steps, as {id, step, lease} triples.
-- Reply: the number of steps that were given back.

local function give_back_credits(account, lease)
  local pause = pause_on(account)
  if not pause or tonumber(pause.check) ~= lease then return false end
  nothing_tried(account)
  try_at(account, NOW)
  return true
end

local function give_back_copies(id, lease)
  local job = load(id)
  if not job or job.copy_lease ~= lease or not redis.call('ZSCORE', COPIES, id) then return false end
  redis.call('ZADD', COPIES, NOW, id)
  return true
end

local function give_back(id, kind, lease)
  local job = load(id)
  if not job or job.lease ~= lease or not redis.call('ZSCORE', DUE, id) then return false end
  if kind == 'create' and job.state == 'queued' and job.slot then
    take_back(job)
    redis.call('ZREM', DUE, id)
    enqueue(job)
  elseif kind == 'poll' and job.polling then
    take_back_poll(job, job.polling + (ended(job.state) and AHEAD or 0))
  elseif kind == 'recover' then
    schedule(job, NOW)
  else
    return false
  end
  save(job)
  return true
end

local count = 0
for _, step in ipairs(A.steps) do
  local id, kind, lease = step[1], step[2], step[3]
  local given
  if kind == 'credits' then
    given = give_back_credits(id, lease)
  elseif kind == 'copy' then
    given = give_back_copies(id, lease)
  else
    given = give_back(id, kind, lease)
  end
  if given then count = count + 1 end
end
if count > 0 then notify() end
return count
