-- Uses: layout, record, wakeup, epoch.
-- Registers workers with the same settings: the limits of their accounts, and the names of their keys.
-- Arguments: registration; fresh, the id of an epoch, if there is none yet; quotas, or a part of them; last, true with
-- the last part.
-- Reply: the number of accounts; an error if the ledger has another layout.
local refusal = other_layout()
if refusal then return refusal end
if not current_epoch().id then redis.call('HSET', EPOCH, 'id', A.fresh, 'moves', 0, 'attempts', 0) end
redis.call('HINCRBY', EPOCH, 'moves', 1)
for _, quota in ipairs(A.quotas) do
  local given = {'creates', quota.creates, 'creates_span', quota.creates_span, 'polls', quota.polls,
    'polls_span', quota.polls_span, 'max_in_flight', quota.max_in_flight, 'first_margin', quota.margin}
  -- A limit that was learned from another quota does not apply to this one.
  if tonumber(redis.call('HGET', QUOTA .. quota.account, 'creates')) ~= quota.creates then
    redis.call('HDEL', QUOTA .. quota.account, 'limit', 'raise_at', 'patience')
  end
  if tonumber(redis.call('HGET', QUOTA .. quota.account, 'max_in_flight')) ~= quota.max_in_flight then
    redis.call('HDEL', QUOTA .. quota.account, 'flight', 'flight_raise_at', 'flight_patience')
  end
  redis.call('HSET', QUOTA .. quota.account, unpack(given))
  redis.call('SADD', ACCOUNTS, quota.account)
  local refused = redis.call('HGET', PAUSE .. quota.account, 'key')
  -- Another key than the refused one is tried at once, when the first worker comes with it.
  if refused and refused ~= quota.key and redis.call('HGET', REGISTRATION .. A.registration, quota.account) ~= quota.key then
    redis.call('HSET', PAUSE .. quota.account, 'until', int(NOW))
  end
  redis.call('HSET', REGISTRATION .. A.registration, quota.account, quota.key)
  redis.call('ZADD', MAINTAINED, 'LT', NOW - MAINTAIN_EVERY, quota.account)
  -- New limits or a new key may allow something that was not possible before.
  redis.call('ZADD', OPEN, 'LT', NOW, quota.account)
  visit_by(quota.account, NOW)
end
-- The registration is complete with its last part. Workers that are new may be able to read what others could not.
if A.last and redis.call('ZADD', REGISTRATIONS, NOW, A.registration) == 1 then
  for _, id in ipairs(redis.call('ZRANGE', APART, 0, MOST_TRIED - 1)) do
    redis.call('ZADD', DUE, 'XX', 'LT', NOW, id)
    redis.call('ZADD', COPIES, 'XX', 'LT', NOW, id)
  end
end
return #A.quotas
