"""A shorter visibility timeout for the worker that is started with ``-I bench.short_visibility``.

The fleet's is 300 s, and its broker looks every 100 s for messages that are older.
"""

from typing import Final

from celery import current_app

SECONDS: Final = 5.0

current_app.conf.broker_transport_options |= {
    "visibility_timeout": SECONDS,
    "unacked_restore_interval": 1,
    "unacked_restore_throttle": 1,
}
