-- Uses: wakeup, pauses, ready, tasks.
-- Proofs of acceptance: an attempt has a task, whose id nobody knows.

-- Puts a queued job in doubt about its proven attempt, so that it is not sent again by itself. A callback that can be
-- read may still name the task.
local function doubt_instead(job)
  take_back(job)
  dequeue(job)
  job.lease, job.state, job.ready_since = job.lease + 1, 'in_doubt', nil
  mark_doubtful(job, job.proven)
  schedule(job, NOW + PROVEN_GRACE)
end
