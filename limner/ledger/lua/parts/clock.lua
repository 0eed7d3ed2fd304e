-- Steps of the server's clock. The ledger's times move with the clock, so that a step neither freezes what has a time
-- in the future, nor ends what has waited for a moment.

-- Returns how far the clock was stepped since the registration's last claim, in milliseconds; 0 if it was not.
-- `expected` is the time that a worker expects by a clock that nobody sets, or nil if it has not claimed before. It
-- alone does not prove a step forwards: that worker may have been stopped while others claimed.
local function step_of_clock(last_claim, expected)
  if last_claim > NOW then return expected and expected > NOW and NOW - expected or NOW - last_claim end
  local forwards = expected and NOW - last_claim > LONGEST_SILENCE and NOW - expected > LONGEST_SILENCE
  return forwards and NOW - expected or 0
end
