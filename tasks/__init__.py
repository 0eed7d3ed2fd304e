"""What runs: one module a step. Importing this registers the Celery tasks."""

from tasks.check_status import check_status
from tasks.create_task import create_task
from tasks.settle import settle

__all__ = ["check_status", "create_task", "settle"]
