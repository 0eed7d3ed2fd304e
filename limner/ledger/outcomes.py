"""Makes the outcomes of jobs, as JSON. No other module does."""

import json
from collections.abc import Sequence
from decimal import Decimal
from typing import Final

from limner.errors import Expired, JobFailed, OverBudget


def made(urls: Sequence[str], credits_spent: Decimal | None) -> str:
    """The outcome of a job that has its images."""
    spent = None if credits_spent is None else str(credits_spent)
    return json.dumps({"urls": list(urls), "credits": spent})


def failed(error: JobFailed) -> str:
    """The outcome of a job that failed. Record.failure adds the details of the job when it reads it."""
    return json.dumps({"error": error.to_json()})


EXPIRED: Final = failed(Expired("It was not sent within the time that it was submitted with"))
OVER_BUDGET: Final = failed(OverBudget("It would have broken a cap on what may be spent on a day"))
TOO_DEAR: Final = failed(OverBudget("It costs more than may be spent on a whole day, in all or on its lane"))
"""The outcomes that scripts give to a job on their own."""
