-- Uses: record.
-- Money, in millionths of a credit, so that sums are exact. The expected cost of an attempt is held from its sending
-- until its end is known. Then it is spent, at the provider's figure, or released. If its end stays unknown, it
-- becomes doubtful.
--
-- `money:held` has what is held and doubtful now, in all, by account and by lane. `money:DAY` has what was spent on a
-- day (UTC, counted from 1970), in all and by account, and `money:lanes:DAY` has it by lane.

local function day_of(at) return int(math.floor(at / DAY)) end

local function money_of(at) return MONEY .. day_of(at) end

-- Adds to what is held or doubtful. A lane without any is forgotten.
local function book(what, amount, job, account)
  redis.call('HINCRBY', MONEY_HELD, what, amount)
  redis.call('HINCRBY', MONEY_HELD, what .. ':account:' .. account, amount)
  if not job.lane then return end
  local lane = what .. ':lane:' .. job.lane
  local left = redis.call('HINCRBY', MONEY_HELD, lane, amount)
  local first = left == tonumber(amount)
  if left <= 0 or first and redis.call('HLEN', MONEY_HELD) > MOST_LANES then redis.call('HDEL', MONEY_HELD, lane) end
end

-- Adds to what the lane has spent on the day. A day of many lanes has them for a shorter time, and no more than
-- MOST_LANES of them.
local function spend_of_lane(lane, amount)
  local lanes = MONEY_LANES .. day_of(NOW)
  if redis.call('HINCRBY', lanes, lane, amount) ~= tonumber(amount) then return end
  local count = redis.call('HLEN', lanes)
  if count > MOST_LANES then redis.call('HDEL', lanes, lane) end
  redis.call('PEXPIRE', lanes, (count > MANY_LANES and KEEP_LANES_DAYS or KEEP_DAYS) * DAY)
end

local function account_of(job, attempt)
  return of_attempt(job, 'account', attempt) or job.account or MAIN
end

-- The expected cost of an attempt of the job, by these prices.
local function cost_of(job, prices)
  if not prices then return 0 end
  local request = decoded(job.request)
  local price = prices[request.rendering_speed or 'BALANCED'] or 0
  return sane(price * (sane(request.num_images, 1, MOST_IMAGES) or 1), 0, LARGEST - 1) or 0
end

-- The held or doubtful amount of the attempt, or nil if there is none that can be.
local function amount_of(job, field, attempt)
  return sane(of_attempt(job, field, attempt), 0, LARGEST - 1)
end

local function hold(job, attempt, amount)
  job.cost = amount
  set_of_attempt(job, 'hold', attempt, amount)
  book('held', int(amount), job, account_of(job, attempt))
end

-- Releases the attempt's held or doubtful money. Returns the amount, or nil if there was none.
local function release(job, attempt)
  local field, what = 'hold', 'held'
  if not of_attempt(job, field, attempt) then field, what = 'doubt', 'doubtful' end
  if not of_attempt(job, field, attempt) then return nil end
  local amount = amount_of(job, field, attempt)
  set_of_attempt(job, field, attempt, nil)
  if not amount then return nil end
  book(what, int(-amount), job, account_of(job, attempt))
  return amount
end

-- Holds the expected cost again after a task of a released attempt was found.
local function hold_again(job, attempt)
  local booked = of_attempt(job, 'hold', attempt) or of_attempt(job, 'doubt', attempt)
  if job.cost and not booked then hold(job, attempt, job.cost) end
end

-- Books the cost of a task as spent. `amount` is the provider's figure, if it gave one.
local function spend(job, attempt, amount)
  local held = release(job, attempt)
  amount = amount or held or job.cost or 0
  local key = money_of(NOW)
  redis.call('HINCRBY', key, 'spent', int(amount))
  redis.call('HINCRBY', key, 'spent:account:' .. account_of(job, attempt), int(amount))
  if job.lane then spend_of_lane(job.lane, int(amount)) end
  if redis.call('HINCRBY', key, 'tasks', 1) == 1 then redis.call('PEXPIRE', key, KEEP_DAYS * DAY) end
end

-- Moves the attempt's held money to doubtful.
local function leave_attempt_doubtful(job, attempt)
  local amount = amount_of(job, 'hold', attempt)
  if not amount then return end
  set_of_attempt(job, 'hold', attempt, nil)
  set_of_attempt(job, 'doubt', attempt, amount)
  book('held', int(-amount), job, account_of(job, attempt))
  book('doubtful', int(amount), job, account_of(job, attempt))
end

-- The same for all attempts except those in `waiting`.
local function leave_doubtful(job, waiting)
  for attempt = 1, job.attempt do
    if not waiting[attempt] then leave_attempt_doubtful(job, attempt) end
  end
end
