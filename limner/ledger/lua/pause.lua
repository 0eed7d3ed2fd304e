-- Uses: record, wakeup, journal.
-- Pauses an account by hand: nothing of it is sent for `length` milliseconds, or until a person resumes it.
-- Arguments: account, length or nothing, reason.
-- Reply: 1.
redis.call('DEL', PAUSE .. A.account)
redis.call('HSET', PAUSE .. A.account, 'cause', 'by_hand', 'until', int(A.length and NOW + A.length or FOR_EVER),
  'since', int(NOW), 'error', cjson.encode({message = A.reason}))
if A.length then visit_by(A.account, NOW + A.length) end
announce_account(A.account, 'paused',
  {cause = 'by_hand', seconds = A.length and A.length / 1000, error = {message = A.reason}})
return 1
