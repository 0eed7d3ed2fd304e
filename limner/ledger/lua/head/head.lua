-- The head of each script. It checks the arguments, and mends keys that somebody has damaged, so that no script stops
-- between two writes.

local server = redis
local redis = {pcall = server.pcall, error_reply = server.error_reply}

-- Calls a command. A key of another type than the ledger's, and a number that cannot be counted with, must not stop the
-- script. The key is moved away and counts as absent; the number is counted anew. A record is never moved: `load`
-- refuses a damaged one.
function redis.call(command, key, ...)
  local reply = server.pcall(command, key, ...)
  if type(reply) ~= 'table' or not reply.err then return reply end
  if string.find(reply.err, 'WRONGTYPE', 1, true) and string.sub(key, 1, #JOB) ~= JOB then
    server.log(server.LOG_WARNING, 'limner: ' .. key .. ' has a wrong type and is moved to ' .. DAMAGED .. key)
    server.call('RENAME', key, DAMAGED .. key)
    server.call('PEXPIRE', DAMAGED .. key, KEEP_DROPPED)
  elseif command == 'HINCRBY' then
    local field, amount = ...
    server.call('HSET', key, field, math.max(0, tonumber(amount)))
    return tonumber(amount)
  elseif command == 'INCR' then
    server.call('SET', key, 1)
    return 1
  end
  return server.call(command, key, ...)
end

local function refuse(name, why) error(name .. ' ' .. why, 0) end

-- True if JSON can be made of the value again.
local function encodable(value, depth)
  local kind = type(value)
  if kind == 'number' then return value > -LARGEST and value < LARGEST end
  if kind ~= 'table' then return true end
  if depth < 0 then return false end
  for _, each in pairs(value) do
    if not encodable(each, depth - 1) then return false end
  end
  return true
end

local function number(name, value, least, most, real)
  if type(value) ~= 'number' or not (value >= least and value <= most) or not (real or value % 1 == 0) then
    refuse(name, 'is no number that can be counted with')
  end
end
