"""The app of this process, from its environment: what ``celery -A worker`` loads.

The only module of the fleet's Celery side that needs settings to be imported.
"""

import sys

from celery.signals import (
    after_setup_logger,
    after_setup_task_logger,
    celeryd_after_setup,
    worker_init,
)

from config import SettingsError, load
from worker.application import build_app, consume_only_own_queues
from worker.health.accounts import check_accounts
from worker.health.preflight import preflight, storage_preflight
from worker.logs import cover_handlers, fold_outages, hide_secrets, quieten
from worker.services import copies_images

try:
    settings = load()
    hide_secrets(settings)
    app = build_app(settings)
except SettingsError as error:
    # Read by the person who starts the process; a traceback would hide the variable's name.
    sys.exit(f"limner: the settings are wrong\n{error}")

app.set_current()
after_setup_logger.connect(quieten, weak=False)
after_setup_logger.connect(cover_handlers, weak=False)
after_setup_task_logger.connect(cover_handlers, weak=False)
after_setup_logger.connect(fold_outages, weak=False)
after_setup_task_logger.connect(fold_outages, weak=False)


@worker_init.connect(weak=False)
def _before_work(**_: object) -> None:
    preflight(app.settings)


# At worker_init, there is no log yet.
@celeryd_after_setup.connect(weak=False)
def _before_the_first_task(**_: object) -> None:
    consume_only_own_queues(app)
    # Workers that make no copies need no rights to the store.
    if copies_images(app.settings, app):
        storage_preflight(app.settings)
    check_accounts(app.settings)
