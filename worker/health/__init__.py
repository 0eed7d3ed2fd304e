"""Whether a worker is fit: before it starts, and while it runs. ``python -m worker.health`` asks."""
