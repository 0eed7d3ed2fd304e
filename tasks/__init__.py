"""What runs: one module a step. ``config.celery_options`` names those that hold Celery tasks."""
