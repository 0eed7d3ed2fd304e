-- Uses: record, wakeup, quota, pauses, money.
-- Renews the permit of an attempt whose request is about to go out, because time has passed since it began. The request
-- counts from now.
-- Arguments: job, attempt, token, send_lease (milliseconds).
-- Reply: 1; 0 if the request must not go out any more: the attempt is over, its account is paused, or its permit has
-- left the window and another one took its place.
local job = load(A.job)
if not job or job.state ~= 'sending' or job.attempt ~= A.attempt then return 0 end
if of_attempt(job, 'token', A.attempt) ~= A.token then return 0 end
local account = account_of(job, A.attempt)
local window, permit, limits = WINDOW_CREATE .. account, permit_of(job), limits_of(account)
local since, pause = tonumber(redis.call('ZSCORE', window, permit)), pause_on(account)
if not limits or not since or since <= create_edge(limits) or pause and pause.probe ~= A.job then return 0 end

redis.call('ZADD', window, 'XX', NOW, permit)
job.sent = NOW
schedule(job, NOW + A.send_lease)
if pause then try_with('probe', A.job, account, A.send_lease) end
save(job)
return 1
