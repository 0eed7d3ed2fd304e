-- Any state that has not ended -> cancelled. Returns the state that the job was in, again if it is repeated, or
-- nothing for an unknown job. What the error says of charges depends on that state, so both texts come along.
local state, found = get(A.job, 'state', 'cancelled_as')
local resubmitted, faulted = get(A.job, 'resubmitted', 'faulted')
if state == 'cancelled' then return found end
if state == 'queued' and not (resubmitted or faulted) then
  finish(A.job, 'cancelled', A.unsent)
elseif state == 'queued' then
  -- An earlier attempt may have been accepted.
  state = 'in_doubt'
  finish(A.job, 'cancelled', A.sent)
elseif state == 'sending' or state == 'in_doubt' or state == 'generating' then
  finish(A.job, 'cancelled', A.sent)
else
  return state
end
redis.call('HSET', record(A.job), 'cancelled_as', state)
return state
