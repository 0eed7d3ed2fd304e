-- The record of a job. A transition loads it once, assigns to its fields, and saves it once, when nothing can fail
-- any more. Fields are read and written by name; an absent field is nil. A loaded job also has its `id`, its
-- `known_tasks`, and what `save` needs to know.
--
-- FIELDS, generated from the list of fields, are the fields that the script uses. The first NUMBERS of them are
-- numbers, and the first of all is `v`. REQUIRED are the fields among them that every record has.

local function int(number) return string.format('%d', number) end

-- The number in a text, or nil if it is none, or is out of bounds.
local function sane(text, least, most)
  local number = tonumber(text)
  if number and number >= least and number <= most then return number end
end

-- Decodes JSON. Damaged JSON is read as an empty object.
local function decoded(text)
  local fine, value = pcall(cjson.decode, text)
  return fine and type(value) == 'table' and encodable(value, DEEPEST) and value or {}
end

-- Decodes the list of tasks. Returns nil if it is none, or has something that is no task.
local function decoded_tasks(text)
  local tasks = decoded(text)
  if #tasks == 0 and text ~= '[]' and text ~= '{}' then return nil end
  for _, task in ipairs(tasks) do
    local fine = type(task) == 'table' and type(task.id) == 'string' and type(task.state) == 'string'
      and (task.account == nil or type(task.account) == 'string')
    if not (fine and type(task.attempt) == 'number' and sane(task.attempt, 0, MOST_ATTEMPTS)) then return nil end
  end
  return tasks
end

-- True if the text is a list of copies.
local function are_copies(text)
  local copies = decoded(text)
  for _, copy in ipairs(copies) do
    local fine = type(copy) == 'table' and type(copy.task) == 'string' and type(copy.url) == 'string'
    if not fine then return false end
    if copy.stored and not (type(copy.file) == 'table' and type(copy.file.size) == 'number') then return false end
  end
  return #copies > 0
end

-- A new record, not saved yet.
local function new(id)
  return {id = id, was = {}, known_tasks = {}, of_attempts = {}, changed = {}}
end

local function broken(id, why) return nil, redis.error_reply('BROKEN job ' .. id .. ': ' .. why) end

-- Loads a record and checks its numbers, so that no transition fails over one in the middle of its writes. Returns
-- the record; nil if there is none; nil and the error to reply with if the record cannot be read.
local function load(id)
  local fields, numbers, largest = FIELDS, NUMBERS, LARGEST
  local values = redis.pcall('HMGET', JOB .. id, unpack(fields))
  if values.err then return broken(id, 'its record is no hash') end
  if not values[1] then
    if redis.call('EXISTS', JOB .. id) == 1 then return broken(id, 'its field v is missing') end
    return nil
  end
  local job = new(id)
  for at, name in ipairs(fields) do
    local value = values[at]
    if value then
      if at <= numbers then
        value = tonumber(value)
        if not (value and value > -largest and value < largest) then
          return broken(id, 'its field ' .. name .. ' is no number that can be')
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
      return broken(id, 'its field ' .. name .. ' is missing')
    end
  end
  if job.state and not string.find(STATES, ' ' .. job.state .. ' ', 1, true) then
    return broken(id, 'its field state is no state')
  end
  if job.attempt and not sane(job.attempt, 0, MOST_ATTEMPTS) then
    return broken(id, 'its field attempt is no number that can be')
  end
  job.was = values
  if job.tasks then
    job.known_tasks = decoded_tasks(job.tasks)
    if not job.known_tasks then return broken(id, 'its field tasks has something that is no task') end
  end
  if job.copies and not are_copies(job.copies) then return broken(id, 'its field copies has something that is no copy') end
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

-- True if nothing of the provider can change the state any more: the job has ended, or only its copies are awaited.
local function has_outcome(state) return ended(state) or state == 'copying' end
