-- Uses: record, wakeup, journal, pauses.
-- Ends a pause on a person's word. After a pause by hand, all jobs continue. After any other pause, a probe is sent
-- first.
-- Arguments: account.
-- Reply: 1, or 0 if the account is not paused.
local pause = pause_on(A.account)
if not pause then return 0 end
if pause.cause == 'by_hand' then
  reopen(A.account, 'by hand')
else
  redis.call('HSET', PAUSE .. A.account, 'until', int(NOW), 'cleared', 'person')
  nothing_tried(A.account)
  announce_account(A.account, 'resuming', {cause = pause.cause})
  try_at(A.account, NOW)
  notify()
end
return 1
