"""When to look at tasks."""
