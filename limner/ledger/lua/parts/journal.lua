-- Uses: record.
-- What happens is noted on the job's log, so that it can explain itself, and told on the stream of events.

local function note(job, event, detail)
  local entry = detail or {}
  entry.at, entry.event = NOW, event
  local text, log = cjson.encode(entry), LOG .. job.id
  if redis.call('RPUSH', log, text) > KEEP_LOG then redis.call('LTRIM', log, -KEEP_LOG, -1) end
  return text
end

local function tell(id, event, text, metadata)
  redis.call('XADD', EVENTS, 'MAXLEN', '~', KEEP_EVENTS, '*',
    'job', id, 'event', event, 'at', int(NOW), 'detail', text, 'metadata', metadata)
end

local function announce(job, event, detail)
  tell(job.id, event, note(job, event, detail), job.metadata or '{}')
end

-- Told of an account, and of no job in particular.
local function announce_account(account, event, detail)
  detail.at, detail.event, detail.account = NOW, event, account
  tell('', event, cjson.encode(detail), '{}')
end
