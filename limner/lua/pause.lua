-- By hand: nothing of the account is sent for `length` milliseconds, or until somebody resumes it.
redis.call('DEL', pause_of(A.account))
redis.call('HSET', pause_of(A.account), 'cause', 'by_hand', 'until', A.length and int(NOW + A.length) or int(FOR_EVER),
  'since', int(NOW), 'error', cjson.encode({message = A.reason}))
announce_account(A.account, 'paused',
  {cause = 'by_hand', seconds = A.length and A.length / 1000, error = {message = A.reason}})
return 1
