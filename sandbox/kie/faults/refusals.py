"""The provider's errors, as code and text (contract 1.4)."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from sandbox.kie.faults.faults import Fault
from sandbox.kie.faults.switches import Strike
from sandbox.kie.faults.words import REFUSAL_WORDS

__all__ = [
    "NO_CREDITS",
    "NO_RECORD",
    "ON_DEMAND",
    "SERVER_ERROR",
    "TOO_MANY_RUNNING",
    "TOO_OFTEN",
    "UNAUTHORIZED",
    "Refusal",
    "on_demand",
]


@dataclass(frozen=True)
class Refusal:
    """An envelope with an error: nothing was created and nothing is charged."""

    code: int
    text: str


UNAUTHORIZED: Final = Refusal(401, "You do not have access permissions")
NO_CREDITS: Final = Refusal(402, "Credits insufficient : the balance isn't enough to run this request.")
NO_RECORD: Final = Refusal(422, "recordInfo is null")
TOO_OFTEN: Final = Refusal(429, "Your call frequency is too high. Please try again later.")
TOO_MANY_RUNNING: Final = Refusal(
    429, "Too many concurrent tasks: wait until one of your running tasks has finished."
)
SERVER_ERROR: Final = Refusal(500, "Server exception, please try again later")

ON_DEMAND: Mapping[Fault, Refusal] = MappingProxyType(
    {
        Fault.CREATE_401: UNAUTHORIZED,
        Fault.CREATE_402: NO_CREDITS,
        Fault.CREATE_429: TOO_OFTEN,
        Fault.CREATE_433: Refusal(
            433, "The current number of points used by apiKey has exceeded the daily limit"
        ),
        Fault.CREATE_455: Refusal(455, "The server is currently being maintained, please try again later~"),
        Fault.CREATE_500: SERVER_ERROR,
        Fault.CREATE_500_INPUT: Refusal(500, "image_size is not within the range of allowed options"),
        Fault.CREATE_500_CREDITS: Refusal(500, NO_CREDITS.text),
        Fault.CREATE_500_PAUSED: Refusal(500, "This model is temporarily paused."),
        Fault.CREATE_505: Refusal(505, "This interface is temporarily paused."),
        Fault.UNKNOWN_CODE: Refusal(777, "Something unheard of."),
    }
)
"""The answer of createTask while the fault is on. The words of ``refusal_words`` depend on its variant."""


def on_demand(strike: Strike) -> Refusal:
    """The refusal with which createTask answers when that fault strikes.

    Raises :class:`KeyError` for a fault that is no refusal.
    """
    if strike.fault is Fault.REFUSAL_WORDS:
        return Refusal(*REFUSAL_WORDS[strike.variant])
    return ON_DEMAND[strike.fault]
