-- Uses: record, journal, quota, ready, tasks, candidates.
-- Records that a polled task is not ready, for a job that is generating, or that has ended with an open task.
-- Arguments, in `report`: job, lease, answer, delay (milliseconds until the next poll). With `task_id`, that task is
-- polled after the job's other ones. With `sure`, the provider has confirmed it, as the task of `attempt`. With
-- `too_often`, the read was refused for its rate. With `imageless`, the task has succeeded, and no image can be read;
-- `raw` is the answer.
-- Reply: {'held', {}}; {'stale', {}} if the step is stale; {error text, {}} for an unreadable record.
local function polled(report)
  local job, fault = load(report.job)
  if fault then return {fault.err, {}} end
  if not job or job.lease ~= report.lease then return {'stale', {}} end
  if job.state ~= 'generating' and not ended(job.state) then return {'stale', {}} end
  -- The job is not due if the lease has expired and the job waits in the ready queue for another poll.
  if not job.polling or not redis.call('ZSCORE', DUE, job.id) then return {'stale', {}} end

  local reader, delay = reader_of(job), report.delay
  if (job.signalled or 0) >= job.polling then delay = math.min(delay, SIGNAL_PAUSE) end
  job.polls, job.polling, job.seen = job.polls + 1, nil, NOW
  if report.task_id then
    note_task_pending(job, report)
    delay = try_the_next(job, report, delay)
  end
  if report.imageless and not job.imageless then
    job.imageless, job.raw = NOW, report.raw
    note(job, 'images_missing', {answer = report.answer, raw = report.raw})
  end
  poll_in(job, delay)
  if report.too_often then polls_too_often(reader) else poll_went_well(reader) end
  note(job, 'polled', {answer = report.answer, next = delay})
  save(job)
  return {'held', {}}
end
