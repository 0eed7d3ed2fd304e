"""The Celery app: the composition root of a worker or beat process."""

import sys
from functools import cached_property

from celery import Celery
from celery.signals import after_setup_logger, worker_init

from config import Settings, SettingsError, load
from config.celery_options import celery_options
from worker.dispatcher import DispatcherStep
from worker.health.heartbeat import HeartbeatStep
from worker.health.preflight import preflight
from worker.logs import quieten
from worker.services import Services, make_services
from worker.transport import install


class Application(Celery):
    """A Celery app that knows its settings."""

    def __init__(self, settings: Settings) -> None:
        super().__init__("limner")
        install()
        self.settings = settings
        self.conf.update(celery_options(settings))
        self.steps["worker"].add(DispatcherStep)
        self.steps["consumer"].add(HeartbeatStep)

    @cached_property
    def services(self) -> Services:
        """The collaborators of the steps; made when the first step needs them, so after any fork."""
        return make_services(self.settings, self)


try:
    app = Application(load())
except SettingsError as error:
    # Read by the person who starts the process; a traceback would hide the variable's name.
    sys.exit(f"limner: the settings are wrong\n{error}")

after_setup_logger.connect(quieten, weak=False)


@worker_init.connect(weak=False)
def _before_work(**_: object) -> None:
    preflight(app.settings)
