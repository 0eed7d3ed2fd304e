-- Uses: looked, task_succeeded, task_failed, task_lost.
-- What looks have found, each reported as one of the transitions that this uses. Returns {time, their answers}.
local transitions = {
  looked = looked, task_succeeded = task_succeeded, task_failed = task_failed, task_lost = task_lost,
}
local answers = {}
for at, report in ipairs(A.reports) do answers[at] = transitions[report.what](report) end
return {NOW, answers}
