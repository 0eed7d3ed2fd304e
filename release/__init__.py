"""Making a release: the checks of the commit, and the two archives with theirs. Nothing is uploaded."""
