-- Uses: record, wakeup, journal, pauses.
-- A person says that the pause is over. After a pause by hand all goes on; after another one, once a probe is taken.
-- Returns 1, or 0 if there is no pause.
local pause = pause_on(A.account)
if not pause then return 0 end
if pause.cause == 'by_hand' then
  reopen(A.account, 'by hand')
else
  redis.call('HSET', PAUSE .. A.account, 'until', int(NOW), 'cleared', 1)
  nothing_tried(A.account)
  announce_account(A.account, 'resuming', {cause = pause.cause})
  try_at(A.account, NOW)
  notify()
end
return 1
