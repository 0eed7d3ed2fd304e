"""What runs: one module a step, and what they share. ``config.celery_options`` names the steps."""
