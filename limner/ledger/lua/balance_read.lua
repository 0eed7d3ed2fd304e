-- Uses: record, wakeup, journal, pauses.
-- Records the balance that the provider reports for a paused account, or that it could not be read. If it shows that
-- the cause of the pause is gone, a probe is sent next. Otherwise the pause continues, twice as long, up to `cap`. Once
-- it is at its longest, a probe follows all the same: what is read may be wrong.
-- Arguments: account; lease, the number of the check; credits (millionths), or nothing if it could not be read; cap
-- (milliseconds); error, or nothing: why it could not be read.
-- Reply: 1, or 0 if that check is not the current one.
local pause = pause_on(A.account)
if not pause or tonumber(pause.check) ~= A.lease then return 0 end

local needs, length = tonumber(pause.needs), pause.length or A.cap
local enough = A.credits and (not needs or A.credits >= needs)
nothing_tried(A.account)
if enough or length >= A.cap then
  redis.call('HSET', PAUSE .. A.account, 'until', int(NOW), 'cleared', 'balance')
  try_at(A.account, NOW)
else
  length = math.min(A.cap, 2 * length)
  redis.call('HSET', PAUSE .. A.account, 'until', int(NOW + length), 'length', int(length))
  visit_by(A.account, NOW)
end
announce_account(A.account, 'credits', {credits = A.credits and A.credits / 1e6, needed = needs and needs / 1e6,
  error = A.error, next = math.max(0, pause_on(A.account)['until'] - NOW)})
notify()
return 1
