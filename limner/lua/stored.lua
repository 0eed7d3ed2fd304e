-- The result of a job that has ended lies in the result backend. If a task of it is still open, looking goes on
-- quietly, first after `follow`; else the record may go in `ttl`.
local state = get(A.job, 'state')
if not ended(state) then return 0 end
redis.call('HSET', record(A.job), 'stored', 1)
if open_task(tasks_of(A.job)) then
  schedule(A.job, NOW + A.follow)
else
  let_go(A.job, A.ttl)
end
return 1
