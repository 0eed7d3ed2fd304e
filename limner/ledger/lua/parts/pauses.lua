-- Uses: record, wakeup, journal, quota.
-- Pauses: nothing of an account is sent until a time, for a cause. A pause ends with a single request, the probe. If
-- the probe is accepted, the other jobs follow. If it is refused for the same cause, the pause starts anew, twice as
-- long. Before the probe, the balance is read where that tells something: for missing credits, and for a refused key.
--
-- `cleared` says that the next request is the probe, and by whom: a `person`, or the `balance`.

-- The causes that say something about the way to the provider, and nothing about a request. Each takes the place of
-- the others.
local function of_the_way(cause)
  return cause == 'unreachable' or cause == 'gateway' or cause == 'faulty'
end

local function same_cause(one, other)
  return one == other or of_the_way(one) and of_the_way(other)
end

local function pause_on(account)
  local names = {'cause', 'until', 'probe', 'check', 'probe_until', 'key', 'length', 'since', 'needs', 'cleared',
    'sent', 'met'}
  local values = redis.call('HMGET', PAUSE .. account, unpack(names))
  if not values[1] then return nil end
  local pause = {}
  for at, value in ipairs(values) do pause[names[at]] = value or nil end
  for _, name in ipairs({'until', 'probe_until', 'length', 'since', 'needs', 'sent'}) do
    pause[name] = sane(pause[name], 0, FOR_EVER)
  end
  -- Without these, a damaged pause would have no end.
  pause['until'], pause.since = pause['until'] or NOW, pause.since or NOW
  pause.length = pause.length or LONGEST_NAP
  return pause
end

-- Makes claims visit the account from that time on, since a probe or a check of its balance may be possible then.
local function try_at(account, at)
  redis.call('ZADD', OPEN, 'XX', 'LT', at, account)
  visit_by(account, at)
end

-- The number of other accounts that are closed for the way now.
local function others_closed(account)
  return redis.call('SCARD', WAY_CLOSED) - redis.call('SISMEMBER', WAY_CLOSED, account)
end

-- Opens the account. After a cause that one accepted request does not disprove for twenty others, the requests become
-- more by and by. Returns the news for the log.
local function reopen(account, why)
  local pause = pause_on(account)
  if not pause then return nil end
  redis.call('DEL', PAUSE .. account, TROUBLES .. account)
  redis.call('SREM', WAY_CLOSED, account)
  if why == 'probe' and (of_the_way(pause.cause) or pause.cause == 'maintenance') then begin_ramp(account) end
  local news = announce_account(account, 'resumed', {cause = pause.cause, seconds = (NOW - pause.since) / 1000,
    why = why, others = others_closed(account)})
  try_at(account, NOW)
  notify()
  return news
end

-- Returns nil if the account is open. Otherwise returns when the pause may be ended, and by what: `credits` (a check
-- of the balance), the same for the refused `key`, or `probe`. A pause by hand that has expired is removed here.
local function closed_until(account, key)
  local pause = pause_on(account)
  if not pause then return nil end
  if pause.cause == 'by_hand' and pause['until'] <= NOW then
    reopen(account, 'time')
    return nil
  end
  local at = math.max(pause['until'], pause.probe_until or 0)
  if pause.cleared then return at, 'probe' end
  -- Another key than the refused one does not wait for the check of that one.
  if pause.key and pause.key ~= key then return pause.check and pause['until'] or at, 'probe' end
  return at, pause.key and 'key' or pause.needs and 'credits' or 'probe'
end

-- Records an attempt to end the pause. `what` is 'probe', with a job's id, or 'check', with the number of a balance
-- check.
local function try_with(what, id, account, lease)
  redis.call('HSET', PAUSE .. account, what, id, 'probe_until', int(NOW + lease))
end

local function nothing_tried(account)
  redis.call('HDEL', PAUSE .. account, 'probe', 'check', 'probe_until')
end

-- Discards the account's probe if it is this job. The next probe may follow after `delay`.
local function give_up_probe(job, delay)
  local account = job.account
  local pause = account and pause_on(account)
  if not pause or pause.probe ~= job.id then return end
  nothing_tried(account)
  if pause['until'] < NOW + delay then redis.call('HSET', PAUSE .. account, 'until', int(NOW + delay)) end
  try_at(account, NOW + delay)
  notify()
end

-- Takes an unused grant back. Its permit and its slot are free again, and another job may be the probe.
local function take_back(job)
  local account = job.slot
  if not account then return end
  return_permit(WINDOW_CREATE .. account, permit_of_lease(job), account)
  give_up_probe(job, 0)
  leave_flight(job)
end

-- Ends the pause if the answer to this job shows that its cause is gone: the job is the probe, or it was sent after the
-- one that met maintenance or a 429. Returns the news for the log.
local function end_pause_of_probe(job)
  local account = job.account
  local pause = account and pause_on(account)
  if not pause then return nil end
  if pause.probe == job.id then return reopen(account, 'probe') end
  local stray = pause.cause == 'maintenance' or pause.cause == 'rate_limited'
  if stray and (job.sent or 0) > (pause.sent or FOR_EVER) then return reopen(account, 'later') end
end

-- Handles a probe that was refused for another cause than the pause's. The provider is then no longer in maintenance,
-- too busy or out of reach. It says nothing about credits, since the provider checks the request before the credits
-- (contract 1.4), nor about the workers behind it. Returns the news for the log.
local function end_probe_refused(job)
  local account = job.account
  local pause = account and pause_on(account)
  if not pause or pause.probe ~= job.id then return nil end
  if pause.needs or pause.cause == 'key_capped' then
    give_up_probe(job, pause.length)
  elseif pause.cause == 'faulty' then
    give_up_probe(job, 0)
  else
    return reopen(account, 'probe')
  end
end

-- The length of a pause of that account which begins now, and its beginning. Returns nil if `why` is no news: it comes
-- from a request that was on the wire when the account was closed.
local function pause_length(now, why, probed)
  if not now then return why.base, NOW end
  local same = same_cause(now.cause, why.cause)
  if now.cause == 'by_hand' or (not probed and same) or (not same and now['until'] - NOW >= why.base) then return nil end
  -- A probe after a person's `resume` does not make the pause longer.
  local longer = now.cleared == 'person' and now.length or math.min(why.cap, 2 * (now.length or why.base))
  return probed and same and longer or why.base, now.since
end

-- Closes the account. `why` has cause and error; base, cap and least in milliseconds; `key`, the name of a refused
-- key; `needs`, the credits that are missing; `answers`, the last answers. `job` has met it. Returns the milliseconds
-- that are left of the pause, and the news for the log if the account was open.
local function close(account, why, job)
  local now = pause_on(account)
  local probed = now and job.id and now.probe == job.id or false
  if probed then give_up_probe(job, 0) end
  local length, since = pause_length(now, why, probed)
  if not length then
    -- An answer to a later request disproves the pause only if no still later one was refused.
    if job.sent and job.sent > (now.sent or 0) then redis.call('HSET', PAUSE .. account, 'sent', int(job.sent)) end
    return math.max(0, now['until'] - NOW), nil
  end
  length = math.max(length, math.min(why.least or 0, why.cap))
  end_ramp(account)
  redis.call('HSET', PAUSE .. account, 'cause', why.cause, 'until', int(NOW + length), 'length', int(length),
    'error', cjson.encode(why.error or {}), 'since', int(since), 'sent', int(job.sent or NOW),
    'met', job.id or '',
    'answers', cjson.encode(why.answers or {why.error}))
  -- A probe for another cause says nothing about this one.
  redis.call('HDEL', PAUSE .. account, 'cleared', 'key', 'needs')
  nothing_tried(account)
  if why.key then redis.call('HSET', PAUSE .. account, 'key', why.key) end
  if why.needs then redis.call('HSET', PAUSE .. account, 'needs', int(why.needs)) end
  redis.call(of_the_way(why.cause) and 'SADD' or 'SREM', WAY_CLOSED, account)
  visit_by(account, NOW + length)
  local news = announce_account(account, 'paused', {cause = why.cause, seconds = length / 1000, error = why.error,
    job = job.id, others = others_closed(account), again = now and true or nil})
  return length, not now and news or nil
end

-- Notes trouble on the way to the provider, which `job` has met. Once `why.after` jobs in a row have met some, with no
-- acceptance in between, the account is closed. A closed account, and one that has just been opened, is closed by the
-- first. Returns what `close` returns, or nothing.
local function trouble(account, why, job)
  local met = TROUBLES .. account
  if redis.call('HLEN', met) < MOST_TROUBLES then
    redis.call('HSET', met, job.id, cjson.encode({at = NOW, cause = why.cause, error = why.error}))
    redis.call('PEXPIRE', met, TROUBLES_KEPT)
  end
  local jobs = redis.call('HVALS', met)
  if #jobs < why.after and not ramp_of(account) and not pause_on(account) then return nil end
  local answers = {}
  for at, text in ipairs(jobs) do answers[at] = decoded(text) end
  table.sort(answers, function(one, other) return (one.at or 0) < (other.at or 0) end)
  why.answers = {unpack(answers, math.max(1, #answers - SHOWN_ANSWERS + 1))}
  return close(account, why, job)
end

-- Handles the proof that an attempt of the job was accepted although its answer was trouble: it was none. The pause
-- ends if nothing else is known against the way, or if the job was the last probe.
local function no_trouble(account, job)
  if redis.call('HDEL', TROUBLES .. account, job.id) == 0 then return end
  local pause = pause_on(account)
  if not pause or not of_the_way(pause.cause) then return end
  if pause.met == job.id or redis.call('HLEN', TROUBLES .. account) == 0 then reopen(account, 'probe') end
end

-- Handles what an answer says about the account: `why` closes it at once, or counts as trouble. Returns what `close`
-- returns.
local function take_in(account, why, job)
  if why.after then return trouble(account, why, job) end
  return close(account, why, job)
end
