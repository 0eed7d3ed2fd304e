"""Tasks: their requests, durations and results."""
