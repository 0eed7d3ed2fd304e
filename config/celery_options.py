"""Celery's options, with the reason beside each that differs from its default."""

from typing import Any

from config.settings import Settings


def celery_options(settings: Settings) -> dict[str, Any]:
    """The configuration of the Celery app."""
    timeout = settings.redis_timeout_seconds
    return {
        "broker_url": settings.broker_url,
        "result_backend": settings.result_url,
        **_broker(settings.broker_url, timeout),
        # A frozen Redis must not hang whoever stores a result.
        "redis_socket_timeout": timeout,
        "redis_socket_connect_timeout": timeout,
        # One backend, with one connection pool, for all threads instead of one for each.
        "result_backend_thread_safe": True,
        "result_expires": settings.result_ttl_seconds,
        # Steps return nothing: a job's result is stored under its id when the job has ended.
        "task_ignore_result": True,
        "imports": ("tasks.create_task", "tasks.check_status", "tasks.check_credits", "tasks.recover"),
        # The work is waiting for HTTP: threads wait in 66 MB where 32 processes take 1.8 GB.
        "worker_pool": "threads",
        "worker_concurrency": settings.concurrency,
        # What a worker has taken and not begun is out of the others' reach until its lease is over.
        "worker_prefetch_multiplier": 1,
        # The ledger's leases repair a lost message, so a publish fails fast and is not repeated.
        "task_publish_retry": False,
        # A worker outlives any outage of the broker.
        "broker_connection_retry_on_startup": True,
        "broker_connection_max_retries": None,
        "worker_cancel_long_running_tasks_on_connection_loss": False,
        "beat_scheduler": "worker.schedule.beat:Scheduler",
        # Beat wakes up for its next tick by itself; this bounds how late it learns of a changed clock.
        "beat_max_loop_interval": 60,
    }


def _broker(url: str, timeout: float) -> dict[str, Any]:
    if not url.startswith(("redis://", "rediss://", "redis+socket://")):
        return {}
    return {
        "broker_transport_options": {
            # kombu asks for no time-out at all, and then a frozen Redis hangs a publish for ever.
            "socket_timeout": timeout,
            "socket_connect_timeout": timeout,
            # After this time a message of a dead worker is delivered again. Only messages of plain Celery
            # producers need it: all others are sent anew by the dispatcher when their lease is over.
            "visibility_timeout": 300,
        },
    }
