"""Keeping the attempts' tokens out of access logs."""

import logging

from limner._redaction import redact


class HideToken(logging.Filter):
    """Shortens the path of every callback in a log record to ``/callbacks/…``, and hides passwords in URLs::

    logging.getLogger("uvicorn.access").addFilter(HideToken())
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """Change the record; it is always logged."""
        redact(record)
        return True
