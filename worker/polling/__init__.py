"""When to poll tasks."""
