"""The part of a worker's consumer that inspects messages."""

import logging
import time
from collections.abc import Callable
from functools import partial
from typing import Any, Final

from celery import bootsteps

from limner.errors import StoreUnavailable
from worker.dispatcher import TASKS
from worker.inspection import Inspection, Refused, Sound
from worker.letters import LetterBox
from worker.transport import Channel

logger = logging.getLogger(__name__)

_PAUSE: Final = 0.5
_PATIENCE: Final = 5.0


class InspectionStep(bootsteps.StartStopStep):
    """The bootstep that gives the consumer's channel its inspection, after each connection to the broker."""

    requires = ("celery.worker.consumer:Tasks",)

    def start(self, parent: Any) -> None:
        """Inspect what comes from now on."""
        app = parent.app
        if not app.marks.known:
            _read_key(app.marks.renew, app.services.ledger.letters.fleet_key)
        channel = parent.task_consumer.channel
        if isinstance(channel, Channel):
            inspection = Inspection(app.marks, frozenset(TASKS.values()))
            channel.inspect = partial(inspect, inspection, app.services.letters)

    def shutdown(self, parent: Any) -> None:
        """Write the letters that wait."""
        parent.app.services.letters.stop(_PATIENCE)


def inspect(inspection: Inspection, box: LetterBox, item: bytes, queue: str) -> Sound | None:
    """Inspect a message; None for one that was set aside."""
    try:
        sound = inspection(item, queue)
    except Refused as refused:
        box.add(str(refused), queue, item)
        return None
    except Exception as error:
        # Whatever an odd message makes stumble here, it must not be the consumer's loop.
        logger.exception("the inspection of a message has failed")
        box.add(f"unreadable: {type(error).__name__}", queue, item)
        return None
    if sound.fault:
        box.add(sound.fault, queue, item)
    return sound


def _read_key(renew: Callable[[Callable[[], str]], None], read: Callable[[], str]) -> None:
    """Read the key of the marks. Without it, no step of the fleet could be told from a forgery."""
    while True:
        try:
            return renew(read)
        except StoreUnavailable as error:
            logger.warning("the consumer waits for the ledger: %s", error)
        time.sleep(_PAUSE)
