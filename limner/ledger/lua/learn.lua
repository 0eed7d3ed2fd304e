-- Uses: durations.
-- One more duration of a kind.
learn(A.one)
return 1
