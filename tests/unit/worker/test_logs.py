import logging
from collections.abc import Iterator

import pytest

from worker.logs import quieten

LOGGERS = [logging.getLogger(name) for name in ("celery.worker.strategy", "celery.app.trace")]


@pytest.fixture(autouse=True)
def levels_as_they_were() -> Iterator[None]:
    before = [logger.level for logger in LOGGERS]
    yield
    for logger, level in zip(LOGGERS, before, strict=True):
        logger.setLevel(level)


@pytest.mark.parametrize(
    ("asked_for", "level"),
    [
        (logging.DEBUG, logging.NOTSET),
        (logging.INFO, logging.WARNING),
        (logging.WARNING, logging.WARNING),
        (logging.ERROR, logging.ERROR),
    ],
)
def test_lines_for_each_step_are_logged_only_at_debug(asked_for: int, level: int) -> None:
    for logger in LOGGERS:
        logger.setLevel(logging.NOTSET)
    quieten(loglevel=asked_for, logfile=None)
    assert [logger.level for logger in LOGGERS] == [level, level]
