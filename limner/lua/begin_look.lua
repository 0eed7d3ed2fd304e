-- A look is about to be made: its permit counts from now. Returns {fields of the record, time}, or {} when the step
-- belongs to somebody else, or must wait again because its permit has left the window and no other one is free.
local state, held, looking = get(A.job, 'state', 'lease', 'looking')
if not (state == 'generating' or ended(state)) or tonumber(held) ~= A.lease then return {} end
if not looking or looking == '' or not redis.call('ZSCORE', DUE, A.job) then return {} end
local account = reader_of(A.job)
local window, permit, limits = looks_of(account), A.job .. ':' .. A.lease, limits_of(account)
local since = tonumber(redis.call('ZSCORE', window, permit))
if limits and not (since and since > look_edge(limits)) and counted(window, look_edge(limits)) >= limits.looks then
  take_back_look(A.job, looking)
  ring()
  return {}
end
redis.call('ZADD', window, int(NOW), permit)
redis.call('HSET', record(A.job), 'looking', int(NOW))
redis.call('ZADD', DUE, int(NOW + A.look_lease), A.job)
return {redis.call('HGETALL', record(A.job)), NOW}
