-- Uses: record, journal, quota, ready, tasks.
-- generating, or ended with a task that is still open: not ready, poll again in `told.delay`. With `told.task_id`, that
-- task has its turn after the others; with `sure`, the provider has shown it, as the task of `attempt`. Returns 'held',
-- or 'stale' when the step is.
local function polled(told)
  local job, fault = load(told.job)
  if fault then return {fault.err, {}} end
  if not job or job.lease ~= told.lease or not (job.state == 'generating' or ended(job.state)) then return {'stale', {}} end
  -- Not due: the lease has run out, and the job stands in the line for another poll.
  if not job.polling or not redis.call('ZSCORE', DUE, job.id) then return {'stale', {}} end

  local reader, delay = reader_of(job), told.delay
  if (job.signalled or 0) >= job.polling then delay = math.min(delay, SIGNAL_PAUSE) end
  job.polls, job.polling, job.seen = job.polls + 1, nil, NOW
  if told.task_id then note_task_pending(job, told) end
  poll_in(job, delay)
  if told.too_often then polls_too_often(reader) else poll_went_well(reader) end
  note(job, 'polled', {answer = told.answer, next = delay})
  save(job)
  return {'held', {}}
end
