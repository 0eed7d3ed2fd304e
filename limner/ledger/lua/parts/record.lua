-- A job's record. A transition loads it once, assigns to it, and saves it once, when nothing can fail any more.
-- Fields are read and written by their names; `job.id` is the job's id, and a field that is nil is not there.

local function int(number) return string.format('%d', number) end

-- JSON that somebody else may have spoilt is an empty object.
local function decoded(text)
  local fine, value = pcall(cjson.decode, text)
  return fine and type(value) == 'table' and value or {}
end

-- Amounts and times are checked here, so that no transition stumbles over one in the middle of its writes.
-- Returns the record, nil if there is none; or nil and the error to return for a record that cannot be read.
local function load(id)
  local flat = redis.call('HGETALL', JOB .. id)
  if #flat == 0 then return nil end
  local job, was = {}, {}
  for at = 1, #flat, 2 do
    local name, value = flat[at], flat[at + 1]
    if NUMBERS[name] then
      local number = tonumber(value)
      if not (number and number > -LARGEST and number < LARGEST) then
        return nil, redis.error_reply('BROKEN job ' .. id .. ': its field ' .. name .. ' is no number that can be')
      end
      value = number
    end
    job[name], was[name] = value, value
  end
  if job.v ~= VERSION then
    local age = (job.v or 0) > VERSION and 'NEWER' or 'OLDER'
    return nil, redis.error_reply(age .. ' job ' .. id .. ' has version ' .. tostring(job.v) .. ', known is ' .. VERSION)
  end
  return setmetatable(job, {__index = {id = id, was = was, known_tasks = job.tasks and decoded(job.tasks) or {}}})
end

-- A record that is still to be saved for the first time.
local function new(id)
  return setmetatable({}, {__index = {id = id, was = {}, known_tasks = {}}})
end

local function save(job)
  local was, set, gone = job.was, {JOB .. job.id}, {JOB .. job.id}
  for name, value in pairs(job) do
    if was[name] ~= value then
      set[#set + 1] = name
      set[#set + 1] = type(value) == 'number' and int(value) or value
      was[name] = value
    end
  end
  for name in pairs(was) do
    if rawget(job, name) == nil then
      gone[#gone + 1] = name
      was[name] = nil
    end
  end
  if #set > 1 then redis.call('HSET', unpack(set)) end
  if #gone > 1 then redis.call('HDEL', unpack(gone)) end
end

local function ended(state)
  return state == 'succeeded' or state == 'failed' or state == 'cancelled' or state == 'expired'
end
