-- Removes the time to live of the record, its log and its key, because something is due again.
local function keep_record(job)
  redis.call('PERSIST', JOB .. job.id)
  redis.call('PERSIST', LOG .. job.id)
  if job.key and redis.call('GET', KEY .. job.key) == job.id then redis.call('PERSIST', KEY .. job.key) end
end
