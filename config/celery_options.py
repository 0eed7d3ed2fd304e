"""Celery's options. Each that differs from its default has its reason beside it."""

import ssl
from typing import Any, Final
from urllib.parse import urlsplit

from kombu import Exchange, Queue

from config.settings import Settings, is_rabbitmq
from limner._redis import SCHEMES, Kind, parse

LINKED_QUEUE: Final = "celery"
"""The queue of linked tasks whose signature names none: Celery's own default."""


def celery_options(settings: Settings) -> dict[str, Any]:
    """Return the configuration of the Celery app."""
    timeout = settings.redis_timeout_seconds
    return {
        "broker_url": celery_url(settings.broker_url),
        "result_backend": celery_url(settings.result_url),
        **_names(settings),
        **_broker(settings, timeout),
        # All threads share one backend with one connection pool.
        "result_backend_thread_safe": True,
        "result_expires": settings.result_ttl_seconds,
        # Steps return nothing: a job's result is stored under its id when the job has ended.
        "task_ignore_result": True,
        # A linked task whose producer names no queue goes where Celery sends tasks by default, and not to a
        # queue of this fleet.
        "task_routes": {"limner.*": {}, "*": {"queue": LINKED_QUEUE}},
        "imports": (
            "tasks.create_task",
            "tasks.check_status",
            "tasks.check_credits",
            "tasks.copy_images",
            "tasks.recover",
        ),
        # The work is waiting for HTTP. Threads do it in 66 MB, and 32 processes take 1.8 GB.
        "worker_pool": "threads",
        "worker_concurrency": settings.concurrency,
        # No other worker can run a message that this one has taken and not begun, until its lease expires.
        "worker_prefetch_multiplier": 1,
        # The ledger's leases make up for a lost message, so a publish fails fast and is not repeated.
        "task_publish_retry": False,
        # A worker outlives any outage of the broker.
        "broker_connection_retry_on_startup": True,
        "broker_connection_max_retries": None,
        "worker_cancel_long_running_tasks_on_connection_loss": False,
        "beat_scheduler": "worker.schedule.beat:Scheduler",
        # Beat wakes up for its next tick by itself. This bounds how late it notices a changed clock.
        "beat_max_loop_interval": 60,
    }


def celery_url(url: str) -> str:
    """Return the URL that Celery gets, and shows: without credentials and options, for a Redis.

    The connections are made from the setting itself, by worker/transport.py and worker/backend.py.
    """
    if urlsplit(url).scheme not in SCHEMES:
        return url
    at = parse(url)
    if at.kind is Kind.SOCKET:
        return f"redis+socket://{at.path}?virtual_host={at.database}"
    name = at.service or str(at.hosts[0])
    return (
        f"rediss://{name}/{at.database}?ssl_cert_reqs=required" if at.tls else f"redis://{name}/{at.database}"
    )


def _names(settings: Settings) -> dict[str, Any]:
    """Names of our own, because apps with Celery's default names may use the same broker."""
    return {
        "task_default_queue": settings.queue,
        "task_queues": [
            # Only the names count: messages go to a queue by its name, through no exchange.
            Queue(name, Exchange(name), routing_key=name, queue_arguments=_arguments(settings, name))
            for name in (settings.queue, settings.steps_queue, settings.copies_queue)
        ],
        "event_exchange": f"{settings.prefix}.events",
        "event_queue_prefix": f"{settings.prefix}.events",
        "control_exchange": f"{settings.prefix}.control",
        "worker_enable_remote_control": settings.remote_control,
    }


def _arguments(settings: Settings, queue: str) -> dict[str, str] | None:
    """The arguments with which RabbitMQ makes a queue of this name, where there is none."""
    if not is_rabbitmq(settings.broker_url):
        return None
    # Plain producers declare the queue to which they send, and RabbitMQ refuses arguments other than its own.
    kind = settings.intake_queue_type if queue == settings.queue else "quorum"
    return {"x-queue-type": "quorum"} if kind == "quorum" else None


def _broker(settings: Settings, timeout: float) -> dict[str, Any]:
    if is_rabbitmq(settings.broker_url):
        return _rabbitmq(settings, timeout)
    if urlsplit(settings.broker_url).scheme not in SCHEMES:
        return {}
    return {
        # By its name, because kombu remembers which transport a scheme had first in a process.
        "broker_transport": "worker.transport:Transport",
        "broker_transport_options": {
            # Each app applies its own visibility timeout to all messages under these keys.
            "unacked_key": f"{settings.prefix}.unacked",
            "unacked_index_key": f"{settings.prefix}.unacked_index",
            "unacked_mutex_key": f"{settings.prefix}.unacked_mutex",
            # kombu takes what follows the first dot for the name of the exchange.
            "fanout_prefix": f"/{settings.prefix.replace('.', ':')}:{{db}}.",
            # Options of worker/transport.py.
            "bindings_prefix": settings.prefix,
            "address": parse(settings.broker_url),
            # By default kombu sets no time-out, and then a Redis that hangs blocks a publish for ever.
            "socket_timeout": timeout,
            # A request for messages that is not answered for 3 to 5 s is given up, with its connection: the
            # server is frozen, or a device between forgot the flow. kombu's default is 26 to 51 s.
            "health_check_interval": 2,
            # After this time the broker delivers a message of a dead worker again. Only messages of plain
            # Celery producers need it: the dispatcher sends all others anew when their lease expires.
            "visibility_timeout": 300,
        },
    }


def _rabbitmq(settings: Settings, timeout: float) -> dict[str, Any]:
    options: dict[str, Any] = {
        # Without its part for delayed messages.
        "worker_consumer": "worker.rabbitmq.consumer:Consumer",
        "broker_transport_options": {
            # A step that RabbitMQ has not confirmed is claimed again at once, not when its lease expires.
            "confirm_publish": True,
            # An option of worker/rabbitmq/transport.py.
            "confirm_seconds": timeout,
        },
        "broker_connection_timeout": timeout,
        # A worker outlives a right that is missing for a while.
        "broker_channel_error_retry": True,
        # Both sides notice within 20 s that the other is gone; by default it is four minutes.
        "broker_heartbeat": 10,
    }
    if settings.broker_url.startswith("amqps:"):
        # By default the certificate is not compared with the name of the host.
        options["broker_use_ssl"] = {"cert_reqs": ssl.CERT_REQUIRED, "server_hostname": None}
    return options
