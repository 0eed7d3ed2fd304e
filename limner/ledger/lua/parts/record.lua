-- The record of a job. A transition loads it once, assigns to its fields, and saves it once, when nothing can fail
-- any more. Fields are read and written by name; an absent field is nil. A loaded job also has its `id`, its
-- `known_tasks`, and what `save` needs to know.
--
-- FIELDS, generated from the list of fields, are the fields that the script uses. The first NUMBERS of them are
-- numbers, and the first of all is `v`. REQUIRED are the fields among them that every record has.

local function int(number) return string.format('%d', number) end

-- Decodes JSON. Damaged JSON is read as an empty object.
local function decoded(text)
  local fine, value = pcall(cjson.decode, text)
  return fine and type(value) == 'table' and value or {}
end

-- A new record, not saved yet.
local function new(id)
  return {id = id, was = {}, known_tasks = {}, of_attempts = {}, changed = {}}
end

-- Loads a record and checks its numbers, so that no transition fails over one in the middle of its writes. Returns
-- the record; nil if there is none; nil and the error to reply with if the record cannot be read.
local function load(id)
  local fields, numbers, largest = FIELDS, NUMBERS, LARGEST
  local values = redis.call('HMGET', JOB .. id, unpack(fields))
  if not values[1] then return nil end
  local job = new(id)
  for at, name in ipairs(fields) do
    local value = values[at]
    if value then
      if at <= numbers then
        value = tonumber(value)
        if not (value and value > -largest and value < largest) then
          return nil, redis.error_reply('BROKEN job ' .. id .. ': its field ' .. name .. ' is no number that can be')
        end
        values[at] = value
      end
      job[name] = value
    end
  end
  if job.v ~= VERSION then
    local age = job.v > VERSION and 'NEWER' or 'OLDER'
    return nil, redis.error_reply(age .. ' job ' .. id .. ' has version ' .. job.v .. ', known is ' .. VERSION)
  end
  for _, name in ipairs(REQUIRED) do
    if job[name] == nil then
      return nil, redis.error_reply('BROKEN job ' .. id .. ': its field ' .. name .. ' is missing')
    end
  end
  job.was = values
  if job.tasks then job.known_tasks = decoded(job.tasks) end
  for _, task in ipairs(job.known_tasks) do
    if type(task) ~= 'table' or not (task.id and task.state and tonumber(task.attempt)) then
      return nil, redis.error_reply('BROKEN job ' .. id .. ': its field tasks has something that is no task')
    end
  end
  return job
end

-- Reads a field of one attempt. There may be many attempts, so `load` does not read these fields.
local function of_attempt(job, what, attempt)
  local name = what .. ':' .. attempt
  local value = job.of_attempts[name]
  if value == nil then
    value = redis.call('HGET', JOB .. job.id, name)
    job.of_attempts[name] = value
  end
  return value or nil
end

local function set_of_attempt(job, what, attempt, value)
  local name = what .. ':' .. attempt
  job.of_attempts[name], job.changed[name] = value or false, true
end

-- Writes the fields that have changed.
local function save(job)
  local was, set, gone, numbers = job.was, {JOB .. job.id}, {JOB .. job.id}, NUMBERS
  for at, name in ipairs(FIELDS) do
    local value = job[name]
    if value ~= (was[at] or nil) then
      was[at] = value or false
      if value == nil then
        gone[#gone + 1] = name
      else
        set[#set + 1] = name
        set[#set + 1] = at <= numbers and int(value) or value
      end
    end
  end
  for name in pairs(job.changed) do
    local value = job.of_attempts[name]
    if value then
      set[#set + 1] = name
      set[#set + 1] = type(value) == 'number' and int(value) or value
    else
      gone[#gone + 1] = name
    end
  end
  job.changed = {}
  if #set > 1 then redis.call('HSET', unpack(set)) end
  if #gone > 1 then redis.call('HDEL', unpack(gone)) end
end

local function ended(state)
  return state == 'succeeded' or state == 'failed' or state == 'cancelled' or state == 'expired'
end
