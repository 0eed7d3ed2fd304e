-- Uses: record.
-- Learns the durations of tasks of a kind, as Durations.learned does in Python. The constants come with each call.
-- The weight of a new job (`unit`) grows instead of the older weights shrinking; all weights are divided when it is
-- large. Implausible numbers count as absent.

local function exact(number) return string.format('%.17g', number) end

-- Learns one duration: {kind, duration, and the constants}.
local function learn(one)
  local key = DURATIONS .. one.kind
  local known = redis.pcall('HMGET', key, 'level', 'unit', 'total')
  if known.err then known = {} end
  local level, unit, total = known[1], known[2], known[3]
  level = sane(level, one.lowest_level, one.highest_level)
  unit, total = sane(unit, 1e-300, 1e300), sane(total, 0, 1e300)
  if not (level and unit and total) then
    redis.call('DEL', key)
    level, unit, total = one.level, 1, 0
  end

  local surprise = one.duration - level
  local bucket = math.min(math.max(math.floor((surprise - one.lowest) / one.width), 0), one.buckets - 1)
  local gain = math.max(one.gain, 1 / (one.doubt + total / unit))
  level = level + gain * math.min(math.max(surprise, -one.surprise), one.surprise)

  unit = unit * 2 ^ (1 / one.half_life)
  local weight = (sane(redis.call('HGET', key, int(bucket)), 0, 1e300) or 0) + unit
  redis.call('HSET', key, int(bucket), exact(weight), 'level', exact(level), 'unit', exact(unit),
    'total', exact(total + unit))

  if unit > LARGE_UNIT then
    for index = 0, one.buckets - 1 do
      local old = sane(redis.call('HGET', key, int(index)), 0, 1e300)
      if old then redis.call('HSET', key, int(index), exact(old / unit)) end
    end
    redis.call('HSET', key, 'unit', '1', 'total', exact((total + unit) / unit))
  end
  redis.call('PEXPIRE', key, int(one.ttl))
end
