-- Uses: record, journal, ready, money, ends.
-- Caps on the money spent on a day, in all and by lane, and the jobs over budget, which wait for money.

-- Returns the cap that the job would break now, 'day' or 'lane', or nil; and whether the job costs more than the
-- whole cap.
local function over_budget(job, amount, caps)
  if not caps or amount == 0 then return nil end
  local function used(held, days, spent)
    held, spent = redis.call('HGET', MONEY_HELD, held), redis.call('HGET', days .. day_of(NOW), spent)
    -- What cannot be counted with is counted anew.
    return (sane(spent, 0, LARGEST - 1) or 0) + (sane(held, 0, LARGEST - 1) or 0)
  end
  if caps.day and used('held', MONEY, 'spent') + amount > caps.day then return 'day', amount > caps.day end
  local cap = caps.lanes and job.lane and caps.lanes[job.lane] or caps.lane
  if not cap or not job.lane then return nil end
  if used('held:lane:' .. job.lane, MONEY_LANES, job.lane) + amount > cap then return 'lane', amount > cap end
end

-- The time of the next try: the day's spending starts anew, or held money may have been released.
local function try_over_budget_at()
  return math.min((math.floor(NOW / DAY) + 1) * DAY, NOW + TRY_OVER_BUDGET_EVERY)
end

-- Sets a job over budget aside. It fails if the settings say so, or if it costs more than the whole cap.
local function over_the_cap(job, cap, always, caps)
  if job.over_budget_reported ~= cap then
    job.over_budget_reported = cap
    announce(job, 'over_budget', {cap = cap})
  end
  if caps.refuse or always then
    local outcome = caps.refuse or caps.never
    redis.call('ZREM', DUE, job.id)
    finish(job, 'failed', outcome, {error = decoded(outcome).error})
    return
  end
  local name = cap == 'day' and 'day' or 'lane:' .. job.lane
  job.over_budget = name
  redis.call('ZADD', OVER_BUDGET_OF .. name, score_of(job), job.id)
  redis.call('ZADD', OVER_BUDGET, 'NX', try_over_budget_at(), name)
end

-- Moves jobs for which the cap has money again back to their positions in the ready queue, of the first `most`.
local function try_over_budget(name, prices, caps, most)
  local waiting, promised, left = OVER_BUDGET_OF .. name, 0, false
  for _, id in ipairs(redis.call('ZRANGE', waiting, 0, most - 1)) do
    local job, fault = load(id)
    if not job and not fault then
      redis.call('ZREM', waiting, id)
    elseif fault then
      -- The next claim sets it apart.
      redis.call('ZREM', waiting, id)
      redis.call('ZADD', DUE, NOW, id)
    else
      local cost = cost_of(job, prices)
      local cap, never = over_budget(job, cost, caps)
      if never then
        -- The cap has been lowered in the meantime.
        over_the_cap(job, cap, true, caps)
      elseif over_budget(job, promised + cost, caps) then
        left = true
      else
        promised = promised + cost
        dequeue(job)
        enqueue(job)
      end
      save(job)
    end
  end
  if redis.call('ZCARD', waiting) == 0 then
    redis.call('ZREM', OVER_BUDGET, name)
  else
    redis.call('ZADD', OVER_BUDGET, left and try_over_budget_at() or NOW, name)
  end
end
