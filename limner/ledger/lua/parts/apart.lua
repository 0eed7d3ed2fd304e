-- Uses: journal.
-- Jobs whose records cannot be read. They are set apart: listed for a person, and tried again seldom.

-- Sets a job apart. It stays in the index in which it is due, so that it is tried again. A newer version may be able to
-- read its record, so a newer record is tried again sooner. Returns true if the job was not set apart before.
local function set_apart(id, fault, index)
  local newer = string.sub(fault, 1, 6) == 'NEWER '
  redis.call('ZADD', index, NOW + (newer and TRY_NEWER_EVERY or TRY_APART_EVERY), id)
  if redis.call('ZADD', APART, 'NX', NOW, id) == 0 then return false end
  redis.call('HSET', APART_FAULTS, id, fault)
  if redis.call('ZCARD', APART) > MOST_APART then
    redis.call('HDEL', APART_FAULTS, redis.call('ZPOPMIN', APART)[1])
  end
  announce({id = id}, 'set_apart', {fault = fault})
  return true
end

-- The job is no longer set apart. Returns false if it was not.
local function not_apart(id)
  redis.call('HDEL', APART_FAULTS, id)
  return redis.call('ZREM', APART, id) == 1
end
