-- A person says that the pause is over, or with `credits` the provider does. After a pause by hand all goes on; after
-- another one, once a probe is taken. Returns 1, or 0 if there is no pause, or another one than was asked about.
local pause = pause_on(A.account)
if not pause then return 0 end
if not A.credits then
  if pause.cause == 'by_hand' then
    reopen(A.account, 'by hand')
  else
    redis.call('HSET', pause_of(A.account), 'until', int(NOW), 'cleared', 1)
    nothing_tried(A.account)
    announce_account(A.account, 'resuming', {cause = pause.cause})
    ring()
  end
  return 1
end
if not pause.needs or tonumber(pause.check) ~= A.lease then return 0 end
nothing_tried(A.account)
if A.credits >= tonumber(pause.needs) then
  redis.call('HSET', pause_of(A.account), 'until', int(NOW), 'cleared', 1)
else
  local length = math.min(A.cap, 2 * pause.length)
  redis.call('HSET', pause_of(A.account), 'until', int(NOW + length), 'length', int(length))
end
announce_account(A.account, 'credits', {credits = A.credits / 1e6, needed = pause.needs / 1e6})
ring()
return 1
