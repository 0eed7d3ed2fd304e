-- Uses: polled, task_succeeded, task_failed, task_lost.
-- What polls have found, each reported as one of the transitions that this uses. Returns {time, their answers}.
local function answer(report)
  if report.what == 'polled' then return polled(report) end
  if report.what == 'task_succeeded' then return task_succeeded(report) end
  if report.what == 'task_failed' then return task_failed(report) end
  return task_lost(report)
end

local answers = {}
for at, report in ipairs(A.reports) do answers[at] = answer(report) end
return {NOW, answers}
