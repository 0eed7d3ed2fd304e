-- Uses: layout, wakeup.
-- Registers workers with the same settings: their accounts' limits and the names of their keys.
-- Returns the number of accounts.
local refusal = other_layout()
if refusal then return refusal end
for _, quota in ipairs(A.quotas) do
  local given = {'creates', quota.creates, 'creates_span', quota.creates_span, 'polls', quota.polls,
    'polls_span', quota.polls_span, 'max_in_flight', quota.max_in_flight, 'first_margin', quota.margin}
  -- What was learned to be left of another quota says nothing of this one.
  if tonumber(redis.call('HGET', QUOTA .. quota.account, 'creates')) ~= quota.creates then
    redis.call('HDEL', QUOTA .. quota.account, 'limit', 'raise_at', 'patience')
  end
  redis.call('HSET', QUOTA .. quota.account, unpack(given))
  redis.call('SADD', ACCOUNTS, quota.account)
  redis.call('HSET', REGISTRATION .. A.registration, quota.account, quota.key)
  redis.call('ZADD', MAINTAINED, 'LT', NOW - MAINTAIN_EVERY, quota.account)
  -- With other limits, or another key, there may be something to do that there was not before.
  redis.call('ZADD', OPEN, 'LT', NOW, quota.account)
  visit_by(quota.account, NOW)
end
-- It is known once all of its accounts are.
if A.last then redis.call('ZADD', REGISTRATIONS, NOW, A.registration) end
return #A.quotas
