"""Making a release: what must hold before, and the two archives with their checks. Nothing is uploaded."""
