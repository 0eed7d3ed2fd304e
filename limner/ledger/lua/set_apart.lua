-- Uses: apart.
-- Sets a job apart whose record a worker cannot read, although the scripts can.
-- Arguments: job, fault.
-- Reply: 1, or 0 if the job was set apart before, or is not due.
if not redis.call('ZSCORE', DUE, A.job) then return 0 end
return set_apart(A.job, A.fault) and 1 or 0
