-- Money, in millionths of a credit, so that sums are exact. What an attempt is expected to cost is held from its
-- sending until its end is known: then it is spent, as the provider says, or it is free again. Of an attempt
-- that nobody can tell the end of, it stays doubtful.
--
-- `money:held` has what is held and doubtful now, `money:DAY` what was spent on a day (UTC, counted from 1970);
-- each in all, by account and by lane.

local HELD = P .. 'money:held'
local DAY_MS = 86400000
local KEEP_DAYS = 400

local function money_of(at) return P .. 'money:' .. int(math.floor(at / DAY_MS)) end

local function book(key, what, amount, id, account)
  local lane = get(id, 'lane')
  redis.call('HINCRBY', key, what, amount)
  redis.call('HINCRBY', key, what .. ':account:' .. account, amount)
  if lane then redis.call('HINCRBY', key, what .. ':lane:' .. lane, amount) end
end

local function account_of(id, attempt)
  return get(id, 'account:' .. attempt) or get(id, 'account') or MAIN
end

-- What a job is expected to cost, by the prices that come along.
local function cost_of(id)
  if not A.prices then return 0 end
  local request = cjson.decode(get(id, 'request'))
  local price = A.prices[request.rendering_speed or 'BALANCED'] or 0
  return price * (request.num_images or 1)
end

local function hold(id, attempt, amount)
  redis.call('HSET', record(id), 'cost', int(amount), 'hold:' .. attempt, int(amount))
  book(HELD, 'held', int(amount), id, account_of(id, attempt))
end

-- An attempt's expected cost is free again; returns how much that was, nil if none was held.
local function release(id, attempt)
  local account = account_of(id, attempt)
  for _, what in ipairs({'held', 'doubtful'}) do
    local field = (what == 'held' and 'hold:' or 'doubt:') .. attempt
    local amount = get(id, field)
    if amount then
      redis.call('HDEL', record(id), field)
      book(HELD, what, int(-amount), id, account)
      return tonumber(amount)
    end
  end
end

-- A task has turned up of an attempt that seemed to owe nothing.
local function hold_again(id, attempt)
  local amount, held, doubtful = get(id, 'cost', 'hold:' .. attempt, 'doubt:' .. attempt)
  if amount and not held and not doubtful then hold(id, attempt, tonumber(amount)) end
end

local function spend(id, attempt, amount)
  local held = release(id, attempt)
  amount = amount or held or tonumber(get(id, 'cost')) or 0
  local key = money_of(NOW)
  book(key, 'spent', int(amount), id, account_of(id, attempt))
  redis.call('HINCRBY', key, 'tasks', 1)
  redis.call('PEXPIRE', key, KEEP_DAYS * DAY_MS)
end

-- Nobody waits any more for what became of the attempts, except for those in `waiting`.
local function leave_doubtful(id, waiting)
  for attempt = 1, tonumber(get(id, 'attempt')) or 0 do
    local amount = not waiting[attempt] and get(id, 'hold:' .. attempt)
    if amount then
      redis.call('HDEL', record(id), 'hold:' .. attempt)
      redis.call('HSET', record(id), 'doubt:' .. attempt, amount)
      book(HELD, 'held', int(-amount), id, account_of(id, attempt))
      book(HELD, 'doubtful', amount, id, account_of(id, attempt))
    end
  end
end
