"""The Celery app: the composition root of a worker or beat process.

``worker.main`` makes the one of a process.
"""

import threading
from typing import Any

from celery import Celery

from config import Settings
from config.celery_options import celery_options
from config.settings import is_rabbitmq
from worker import backend, control
from worker.consumer import InspectionStep
from worker.dispatcher import Dispatcher, DispatcherStep
from worker.health.heartbeat import HeartbeatStep
from worker.marks import Marks
from worker.rabbitmq.queues import AMQP
from worker.rabbitmq.transport import install as install_rabbitmq
from worker.services import Services, make_services
from worker.transport import install


class Application(Celery):
    """A Celery app with its settings, and with the services that are made from them."""

    def __init__(self, settings: Settings) -> None:
        super().__init__("limner", set_as_current=False)
        self.loader.override_backends = dict.fromkeys(("redis", "rediss"), backend.NAME)
        self.settings = settings
        self.marks = Marks()
        """The marks on the messages that the fleet sends to itself."""
        self.dispatcher: Dispatcher | None = None
        """The dispatcher of this process, if it is a worker."""
        self._services: Services | None = None
        self._making = threading.Lock()

    @property
    def services(self) -> Services:
        """The services of the steps. They are made when the first step needs them, so after any fork."""
        with self._making:
            # Many of a worker's first steps arrive at once.
            if self._services is None:
                self._services = make_services(self.settings, self)
            return self._services


def consume_only_own_queues(app: Celery) -> None:
    """Fix the queues that this worker consumes.

    Celery adds each queue that it sends to, and consumes all known ones once it has to connect again. So a
    worker would take the linked tasks that it has sent to other workers.
    """
    queues: Any = app.amqp.queues
    queues.select(list(queues.consume_from))


def build_app(settings: Settings) -> Application:
    """The app of these settings, with its dispatcher, inspection and heartbeat, and the modules of the steps.

    It is not the current app of the process until its maker says so.
    """
    install()
    install_rabbitmq()
    control.install()
    app = Application(settings)
    if is_rabbitmq(settings.broker_url):
        app.amqp_cls = AMQP  # type: ignore[assignment]
    app.conf.update(celery_options(settings))
    app.steps["worker"].add(DispatcherStep)
    app.steps["consumer"].add(InspectionStep)
    app.steps["consumer"].add(HeartbeatStep)
    return app
