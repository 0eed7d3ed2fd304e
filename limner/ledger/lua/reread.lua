-- Uses: record, journal, ready, tasks, keeping.
-- Has the ended tasks of a job polled again that has no images: a person believes that they are there.
-- Arguments: job.
-- Reply: the number of tasks; -1 for an unknown job.
local job, fault = load(A.job)
if fault then return fault end
if not job then return -1 end
if not ended(job.state) or job.state == 'succeeded' or not job.stored then return 0 end

local tasks, count = tasks_of(job), 0
for _, task in ipairs(tasks) do
  if task.state == 'failed' or task.state == 'lost' and not task.foreign then
    task.state, count = 'open', count + 1
  end
end
if count == 0 then return 0 end
job.imageless, job.raw = nil, nil
keep_tasks(job, tasks)
keep_record(job)
announce(job, 'reread', {tasks = count})
poll_soon(job)
save(job)
return count
