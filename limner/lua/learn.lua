-- One more duration of a kind, as Durations.learned counts it; that module names the constants, which come as
-- arguments. Instead of making all older jobs lighter, each job weighs a little more than the one before (`unit`),
-- and when the numbers grow large, all are divided by it. Numbers that make no sense count as not stored.
local KIND = P .. 'durations:' .. A.kind
local LARGE = 1e9

local kind_of_key = redis.call('TYPE', KIND).ok
if kind_of_key ~= 'hash' and kind_of_key ~= 'none' then redis.call('DEL', KIND) end

local function sane(text, least, most)
  local number = tonumber(text)
  if number and number >= least and number <= most then return number end
end

local function exact(number) return string.format('%.17g', number) end

local level, unit, total = unpack(redis.call('HMGET', KIND, 'level', 'unit', 'total'))
level = sane(level, A.lowest_level, A.highest_level)
unit, total = sane(unit, 1e-300, 1e300), sane(total, 0, 1e300)
if not (level and unit and total) then
  redis.call('DEL', KIND)
  level, unit, total = A.level, 1, 0
end

local surprise = A.duration - level
local bucket = math.min(math.max(math.floor((surprise - A.lowest) / A.width), 0), A.buckets - 1)
local gain = math.max(A.gain, 1 / (A.doubt + total / unit))
level = level + gain * math.min(math.max(surprise, -A.surprise), A.surprise)

unit = unit * 2 ^ (1 / A.half_life)
local weight = (sane(redis.call('HGET', KIND, int(bucket)), 0, 1e300) or 0) + unit
redis.call('HSET', KIND, int(bucket), exact(weight), 'level', exact(level), 'unit', exact(unit),
  'total', exact(total + unit))

if unit > LARGE then
  for place = 0, A.buckets - 1 do
    local old = sane(redis.call('HGET', KIND, int(place)), 0, 1e300)
    if old then redis.call('HSET', KIND, int(place), exact(old / unit)) end
  end
  redis.call('HSET', KIND, 'unit', '1', 'total', exact((total + unit) / unit))
end
redis.call('PEXPIRE', KIND, int(A.ttl))
return 1
