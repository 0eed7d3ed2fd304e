-- Uses: record.
-- The journal: each event goes to the job's log, and most go to the event stream as well. A transition must not fail
-- because its event cannot be told.

-- Appends an event to the job's log.
local function note(job, event, detail)
  local entry = detail or {}
  entry.at, entry.event = NOW, event
  local text, log = cjson.encode(entry), LOG .. job.id
  local kept = redis.pcall('RPUSH', log, text)
  if type(kept) == 'number' and kept > KEEP_LOG then redis.pcall('LTRIM', log, -KEEP_LOG, -1) end
  return text
end

local function publish(id, event, text, metadata, namespace)
  redis.pcall('XADD', EVENTS, 'MAXLEN', '~', KEEP_EVENTS, '*', 'job', id, 'event', event, 'at', int(NOW),
    'detail', text, 'metadata', metadata, 'namespace', namespace)
end

-- Appends an event to the job's log and to the stream.
local function announce(job, event, detail)
  publish(job.id, event, note(job, event, detail), job.metadata or '{}', job.namespace or '')
end

-- Appends an event about an account to the stream, and returns its text.
local function announce_account(account, event, detail)
  detail.at, detail.event, detail.account = NOW, event, account
  local text = cjson.encode(detail)
  publish('', event, text, '{}', '')
  return text
end
