"""Celery beat, and the schedule that it keeps."""
