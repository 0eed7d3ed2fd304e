-- Uses: record, wakeup, journal, pauses.
-- Records the balance that the provider reports for an account that is paused for lack of credits. With enough
-- credits, a probe is sent next. Otherwise the pause continues, twice as long, up to `cap`.
-- Arguments: account; lease, the number of the balance check; credits (millionths); cap (milliseconds).
-- Reply: 1, or 0 if that check is not the current one.
local pause = pause_on(A.account)
local needs = pause and tonumber(pause.needs)
if not needs or tonumber(pause.check) ~= A.lease then return 0 end

nothing_tried(A.account)
if A.credits >= needs then
  redis.call('HSET', PAUSE .. A.account, 'until', int(NOW), 'cleared', 1)
  try_at(A.account, NOW)
else
  local length = math.min(A.cap, 2 * pause.length)
  redis.call('HSET', PAUSE .. A.account, 'until', int(NOW + length), 'length', int(length))
  visit_by(A.account, NOW)
end
announce_account(A.account, 'credits', {credits = A.credits / 1e6, needed = needs / 1e6})
notify()
return 1
