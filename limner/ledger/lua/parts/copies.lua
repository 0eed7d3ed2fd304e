-- Uses: record, wakeup, money, keeping.
-- Copies of paid images in the user's storage. Each image has an entry {task, url, file, stored} in `copies`. `file`
-- describes the object, and is written before the object is: a worker that finds both need not fetch the image again.
--
-- A job with copies to make is in the index `copies`, by the time of the next try. That index is apart from `due`, and
-- copies have a lease of their own, because copying goes on beside everything else that happens to a job.

local function copies_of(job) return job.copies and decoded(job.copies) or {} end

local function copy_at(job, at)
  redis.call('ZADD', COPIES, at, job.id)
  if at < NOW + LONGEST_NAP then notify() end
end

-- Ends the current lease of the job's copies: whoever has it cannot report any more.
local function end_copy_lease(job) job.copy_lease = (job.copy_lease or 0) + 1 end

-- Has the images of a task copied. A try that is under way does not know them, and must not decide about them.
local function add_copies(job, task, urls)
  local copies = copies_of(job)
  for _, url in ipairs(urls) do
    if #copies < MOST_COPIES then copies[#copies + 1] = {task = task, url = url} end
  end
  if #copies == 0 then return end
  job.copies, job.copy_since = cjson.encode(copies), NOW
  job.copy_tries, job.copy_overdue = nil, nil
  end_copy_lease(job)
  redis.call('ZREM', COPIES_FAILED, job.id)
  keep_record(job)
  copy_at(job, NOW)
end

-- True if the images of the job's result are stored.
local function result_is_copied(job, copies)
  local found = false
  for _, copy in ipairs(copies) do
    if copy.task == job.task_id then
      if not copy.stored then return false end
      found = true
    end
  end
  return found
end

-- True if the caller may copy the job's images.
local function may_copy(job)
  return job.copies and job.copy_lease == A.lease and redis.call('ZSCORE', COPIES, job.id)
end

-- Books what a copy has added to the storage.
local function book_copy(objects, bytes)
  local key = money_of(NOW)
  redis.call('HINCRBY', key, 'copied_bytes', int(bytes))
  if redis.call('HINCRBY', key, 'copied_objects', int(objects)) == objects then
    redis.call('PEXPIRE', key, KEEP_DAYS * DAY)
  end
end
