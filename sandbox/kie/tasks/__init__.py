"""Tasks: what was asked for, how long it takes, and what comes of it."""
