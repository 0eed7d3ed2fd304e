"""Keeping the attempts' tokens out of access logs."""

import logging
import re
from typing import Any, Final

_SECRET: Final = re.compile(r"(?<=/callbacks/)[^\s\"']+")


class HideToken(logging.Filter):
    """Shortens the path of every callback in a log record to ``/callbacks/…``::

    logging.getLogger("uvicorn.access").addFilter(HideToken())
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """Change the record; it is always logged."""
        record.msg = _hidden(record.msg)
        if isinstance(record.args, tuple):
            record.args = tuple(_hidden(value) for value in record.args)
        return True


def _hidden(value: Any) -> Any:
    return _SECRET.sub("…", value) if isinstance(value, str) else value
