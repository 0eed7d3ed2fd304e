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

-- Counts the bytes by which an event exceeds a usual one. With every EVENT_PIECE of them, the stream forgets the events
-- up to the one that was noted KEEP_PIECES pieces ago.
local function bound_events(entry, excess)
  if redis.call('HINCRBY', EVENTS_EXCESS, 'bytes', excess) < EVENT_PIECE then return end
  local piece = redis.call('HINCRBY', EVENTS_EXCESS, 'pieces', 1) % KEEP_PIECES
  local oldest = redis.call('HGET', EVENTS_EXCESS, int(piece))
  redis.call('HSET', EVENTS_EXCESS, 'bytes', 0, int(piece), entry)
  if oldest then redis.pcall('XTRIM', EVENTS, 'MINID', '~', oldest) end
end

local function publish(id, event, text, metadata, namespace)
  local entry = redis.pcall('XADD', EVENTS, 'MAXLEN', '~', KEEP_EVENTS, '*', 'job', id, 'event', event, 'at', int(NOW),
    'detail', text, 'metadata', metadata, 'namespace', namespace)
  local excess = #text + #metadata + #namespace - USUAL_EVENT
  if excess > 0 and type(entry) == 'string' then bound_events(entry, excess) end
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
