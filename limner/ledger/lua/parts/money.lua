-- Uses: record.
-- Money, in millionths of a credit, so that sums are exact. The expected cost of an attempt is held from its sending
-- until its end is known. Then it is spent, at the provider's figure, or released. If its end stays unknown, it
-- becomes doubtful.
--
-- `money:held` has what is held and doubtful now. `money:DAY` has what was spent on a day (UTC, counted from 1970).
-- Both have it in all, by account and by lane.

local function money_of(at) return MONEY .. int(math.floor(at / DAY)) end

local function book(key, what, amount, job, account)
  redis.call('HINCRBY', key, what, amount)
  redis.call('HINCRBY', key, what .. ':account:' .. account, amount)
  if job.lane then redis.call('HINCRBY', key, what .. ':lane:' .. job.lane, amount) end
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
  book(MONEY_HELD, 'held', int(amount), job, account_of(job, attempt))
end

-- Releases the attempt's held or doubtful money. Returns the amount, or nil if there was none.
local function release(job, attempt)
  local field, what = 'hold', 'held'
  if not of_attempt(job, field, attempt) then field, what = 'doubt', 'doubtful' end
  if not of_attempt(job, field, attempt) then return nil end
  local amount = amount_of(job, field, attempt)
  set_of_attempt(job, field, attempt, nil)
  if not amount then return nil end
  book(MONEY_HELD, what, int(-amount), job, account_of(job, attempt))
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
  book(key, 'spent', int(amount), job, account_of(job, attempt))
  if redis.call('HINCRBY', key, 'tasks', 1) == 1 then redis.call('PEXPIRE', key, KEEP_DAYS * DAY) end
end

-- Moves the attempt's held money to doubtful.
local function leave_attempt_doubtful(job, attempt)
  local amount = amount_of(job, 'hold', attempt)
  if not amount then return end
  set_of_attempt(job, 'hold', attempt, nil)
  set_of_attempt(job, 'doubt', attempt, amount)
  book(MONEY_HELD, 'held', int(-amount), job, account_of(job, attempt))
  book(MONEY_HELD, 'doubtful', int(amount), job, account_of(job, attempt))
end

-- The same for all attempts except those in `waiting`.
local function leave_doubtful(job, waiting)
  for attempt = 1, job.attempt do
    if not waiting[attempt] then leave_attempt_doubtful(job, attempt) end
  end
end
