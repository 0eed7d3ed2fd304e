"""Outcomes of jobs, as JSON: made only here."""

import json
from collections.abc import Sequence
from decimal import Decimal
from typing import Final

from limner.errors import Expired, JobFailed, OverBudget


def made(urls: Sequence[str], credits_spent: Decimal | None) -> str:
    """The end of a job whose images are there."""
    spent = None if credits_spent is None else str(credits_spent)
    return json.dumps({"urls": list(urls), "credits": spent})


def failed(error: JobFailed) -> str:
    """The end of a job in an error. What it shares with its job is added when it is read (Record.failure)."""
    return json.dumps({"error": error.to_json()})


EXPIRED: Final = failed(Expired("It was not sent within the time that it was submitted with"))
OVER_BUDGET: Final = failed(OverBudget("It would have broken a cap on what may be spent on a day"))
TOO_DEAR: Final = failed(OverBudget("It costs more than may be spent on a whole day, in all or on its lane"))
"""The ends that a job comes to without anybody's doing."""
