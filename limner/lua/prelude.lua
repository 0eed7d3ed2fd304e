-- What every transition begins with. KEYS[1] is the ledger's prefix with its hash tag; ARGV[1] the time in
-- milliseconds, or '' for the server's clock; ARGV[2] the arguments as a JSON object.
--
-- A job that has not ended stands in exactly one place: in `due`, by the time at which something must happen
-- to it, or, when that time has come and it takes a permit to go on, in a line until the permit is free, or apart
-- (caps.lua) until there is money for it.

local P = KEYS[1]
local A = cjson.decode(ARGV[2])

local VERSION = 3
local KEEP_LOG = 200
local KEEP_EVENTS = 100000
local LONGEST_NAP = 1000

local DUE, BELL, EVENTS = P .. 'due', P .. 'bell', P .. 'events'
local MAIN = 'main'

local NOW = tonumber(ARGV[1])
if not NOW then
  local time = redis.call('TIME')
  NOW = time[1] * 1000 + math.floor(time[2] / 1000)
end

local function int(number) return string.format('%.0f', number) end

local function record(id) return P .. 'job:' .. id end

local function get(id, ...)
  return unpack(redis.call('HMGET', record(id), ...))
end

-- A record that a newer version wrote is for newer workers: it is left as it is.
if A.job then
  local v = tonumber(get(A.job, 'v'))
  if v and v > VERSION then
    return redis.error_reply('NEWER job ' .. A.job .. ' has version ' .. int(v) .. ', known is ' .. VERSION)
  end
end

local function ended(state)
  return state == 'succeeded' or state == 'failed' or state == 'cancelled' or state == 'expired'
end

-- Wakes one clock: they sleep on this list, and one wake-up is enough for all that is due.
local function ring()
  if redis.call('LLEN', BELL) == 0 then redis.call('LPUSH', BELL, '1') end
end

-- No clock sleeps longer than a nap, so only what is due before that has to wake one.
local function schedule(id, at)
  redis.call('ZADD', DUE, int(at), id)
  if at < NOW + LONGEST_NAP and redis.call('ZRANGE', DUE, 0, 0)[1] == id then ring() end
end

-- Kept on the record, so that a job can explain itself.
local function note(id, event, detail)
  local entry = detail or {}
  entry.at, entry.event = NOW, event
  local text = cjson.encode(entry)
  local log = P .. 'log:' .. id
  if redis.call('RPUSH', log, text) > KEEP_LOG then redis.call('LTRIM', log, -KEEP_LOG, -1) end
  return text
end

local function tell(id, event, text, metadata)
  redis.call('XADD', EVENTS, 'MAXLEN', '~', KEEP_EVENTS, '*',
    'job', id, 'event', event, 'at', int(NOW), 'detail', text, 'metadata', metadata)
end

-- Noted, and told to whoever reads the event stream.
local function announce(id, event, detail)
  tell(id, event, note(id, event, detail), get(id, 'metadata') or '{}')
end

-- Told of an account, and of no job in particular.
local function announce_account(account, event, detail)
  detail.at, detail.event, detail.account = NOW, event, account
  tell('', event, cjson.encode(detail), '{}')
end
