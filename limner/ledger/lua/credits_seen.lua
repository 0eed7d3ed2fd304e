-- Uses: record, wakeup, journal, pauses.
-- What the provider says that an account has left, whose pause is for want of credits. If that is enough, a probe is
-- sent; else the pause goes on, twice as long, up to `cap`. Returns 1, or 0 if that is not what was asked.
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
