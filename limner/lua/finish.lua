-- Any state named in `from` -> succeeded | failed, if the step still holds: by its lease, or by its attempt.
-- Returns the time of the end, or 0 when the step is stale, or when an earlier attempt has a task to wait for.
local state, held, attempt, outcome = get(A.job, 'state', 'lease', 'attempt', 'outcome')
if state == A.state and outcome == A.outcome then return tonumber(get(A.job, 'finished')) end
-- An attempt that was refused for certain owes nothing, also if its job was cancelled meanwhile.
if A.refused and (ended(state) or state == 'sending' and tonumber(attempt) == A.attempt) then
  owe_nothing(A.job, A.attempt)
end
local allowed = false
for _, from in ipairs(A.from) do allowed = allowed or from == state end
if not allowed then return 0 end
if A.lease and tonumber(held) ~= A.lease then return 0 end
if A.attempt and tonumber(attempt) ~= A.attempt then return 0 end
if state == 'sending' then
  local last = A.detail.error.details.last_error
  if type(last) ~= 'table' or last.cause ~= 'not_connected' then probe_refused(A.job) end
end
if state == 'sending' and go_on_looking(A.job) then
  note(A.job, 'attempt_failed', A.detail)
  return 0
end
finish(A.job, A.state, A.outcome, A.detail)
return NOW
