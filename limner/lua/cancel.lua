-- Any state that has not ended -> cancelled. Returns the state that the job was in, or nothing for an unknown
-- job. What the error says of charges depends on that state, so both texts come along.
local state = get(A.job, 'state')
if state == 'queued' then
  redis.call('ZREM', DUE, A.job)
  finish(A.job, 'cancelled', A.unsent)
elseif state == 'sending' or state == 'in_doubt' or state == 'generating' then
  finish(A.job, 'cancelled', A.sent)
end
return state
