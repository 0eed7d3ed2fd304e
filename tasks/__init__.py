"""The Celery tasks: a module for each step, and shared code. ``config.celery_options`` names the steps."""
