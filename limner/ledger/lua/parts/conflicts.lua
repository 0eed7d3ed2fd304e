-- Uses: record, journal.
-- Ids and idempotency keys that come with another request than their job's.

-- Notes in the job's log that a request with the digest `other` was refused, and returns the reply to its producer. Of
-- several conflicts in a row, the log has the first one, so that they cannot push the job's history out.
local function conflict(id, digest, created, other)
  local last = redis.call('LRANGE', LOG .. id, -1, -1)[1]
  if not (last and decoded(last).event == 'conflict') then
    note({id = id}, 'conflict', {digest = digest, other = other})
  end
  return {'conflict', id, digest, sane(created, 0, NOW) or 0, NOW}
end
