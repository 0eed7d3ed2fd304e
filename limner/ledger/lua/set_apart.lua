-- Uses: apart.
-- Sets a job apart whose record a worker cannot read, although the scripts can.
-- Arguments: job, fault.
-- Reply: 1, or 0 if the job was set apart before, or is not due.
local set = 0
for _, index in ipairs({DUE, COPIES}) do
  if redis.call('ZSCORE', index, A.job) and set_apart(A.job, A.fault, index) then set = 1 end
end
return set
