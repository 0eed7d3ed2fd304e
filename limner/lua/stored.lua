-- The result of a job that has ended lies in the result backend. If a task of it is still open, looking goes on
-- quietly, first after `follow`; else the record may go in `ttl`. Returns 1, or 0 when the job has another end
-- by now, which is then stored over this one.
local state, finished = get(A.job, 'state', 'finished')
if not ended(state) then return 0 end
if tonumber(finished) ~= A.finished then
  hold_on_to(A.job)
  redis.call('HDEL', record(A.job), 'stored')
  leave_look_line(A.job)
  schedule(A.job, NOW)
  return 0
end
local first = redis.call('HSETNX', record(A.job), 'stored', 1) == 1
if open_task(tasks_of(A.job)) then
  if first then look_in(A.job, A.follow) end
else
  let_go(A.job, A.ttl)
end
return 1
