-- Uses: record, journal, ready, tasks, results, ends, copies, wakeup.
-- Records what came of a try to copy the images of a job, and ends its lease. A job that waits for its copies ends when
-- those of its result are stored: copying -> succeeded. The result of one that has succeeded is stored once more.
-- Arguments: job, lease; stored, by the numbers of the images: file, and the objects and bytes that were written;
-- error, or nothing, if an image was not stored; delay, until the next try (milliseconds); give_up, if there is none;
-- overdue, if a person should know; result, or nothing, of a job that ends by this; ttl, store_lease (milliseconds).
-- Reply: {what, record}: 'stale'; 'copied' if the record has a result to be stored; 'noted' if not.
local job, fault = load(A.job)
if fault then return {fault.err, {}} end
if not job or not may_copy(job) then return {'stale', {}} end

local copies, left, bytes = copies_of(job), 0, 0
for number, copy in ipairs(copies) do
  local now = A.stored[int(number)]
  if now and not copy.stored then
    copy.file, copy.stored = now.file, true
    book_copy(now.objects, now.bytes)
  end
  if copy.stored then bytes = bytes + copy.file.size else left = left + 1 end
end
job.copies = cjson.encode(copies)
end_copy_lease(job)
if left == 0 then
  job.copy_tries, job.copy_overdue = nil, nil
  redis.call('ZREM', COPIES, job.id)
  announce(job, 'copied', {images = #copies, size = bytes})
elseif A.give_up then
  redis.call('ZREM', COPIES, job.id)
  redis.call('ZADD', COPIES_FAILED, NOW, job.id)
  redis.call('ZREMRANGEBYRANK', COPIES_FAILED, 0, -MOST_UNCOPIED - 1)
  announce(job, 'copy_failed', {error = A.error, images = left})
  -- It has nothing to wait for any more.
  if job.state == 'copying' then schedule(job, NOW) end
else
  job.copy_tries = (job.copy_tries or 0) + 1
  note(job, 'not_copied', {error = A.error, images = left, next = A.delay})
  if A.overdue and not job.copy_overdue then
    job.copy_overdue = 1
    announce(job, 'copy_overdue', {error = A.error, images = left})
  end
  copy_at(job, NOW + A.delay)
end

-- The images of a job that was cancelled, or has failed, are no result.
local what, delivers = 'noted', job.state == 'copying' or job.state == 'succeeded'
if delivers and not job.copied and result_is_copied(job, copies) then
  job.copied = 1
  if job.state == 'copying' then
    finish(job, 'succeeded', job.outcome, {task_id = job.task_id, copied = true}, nil, A.result)
  else
    dequeue_poll(job)
    job.polling, job.stored = nil, nil
    schedule(job, NOW + A.store_lease)
  end
  what = job.stored and 'noted' or 'copied'
elseif job.stored and not open_task(tasks_of(job)) then
  expire_record(job, A.ttl)
end
save(job)
if redis.call('ZRANGEBYSCORE', COPIES, '-inf', NOW, 'LIMIT', 0, 1)[1] then notify() end
return {what, what == 'copied' and redis.call('HGETALL', JOB .. job.id) or {}}
