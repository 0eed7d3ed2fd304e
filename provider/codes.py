"""The tables of contract 1.4, 2.3, which map codes and message texts to causes."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from provider.answers import Cause, FailCause

CODES: Final[Mapping[int, Cause]] = MappingProxyType(
    {
        400: Cause.BAD_REQUEST,
        401: Cause.UNAUTHORIZED,
        402: Cause.NO_CREDITS,
        404: Cause.BAD_REQUEST,
        405: Cause.BAD_REQUEST,
        413: Cause.BAD_REQUEST,
        422: Cause.BAD_REQUEST,
        429: Cause.RATE_LIMITED,
        430: Cause.RATE_LIMITED,
        433: Cause.KEY_CAPPED,
        455: Cause.MAINTENANCE,
        500: Cause.SERVER_FAULT,
        501: Cause.SERVER_FAULT,
        505: Cause.DISABLED,
    }
)
"""The cause by the code of a well-formed envelope. Any other code is not known to be a refusal."""

OVERLOADED_CODES: Final = frozenset({500, 501})
"""Codes under which the provider reports several causes; the message tells them apart."""

_CREDIT_WORDS: Final = ("credits insufficient", "balance isn't enough")

WORDS: Final[tuple[tuple[Cause, tuple[str, ...]], ...]] = (
    (
        Cause.BAD_REQUEST,
        (
            "is required",
            "range of allowed options",
            "within the specified range",
            "text length cannot exceed",
        ),
    ),
    (Cause.NO_CREDITS, _CREDIT_WORDS),
    (Cause.DISABLED, ("temporarily paused",)),
)
"""Causes by substrings of an overloaded code's message, in order of precedence and in any case."""

PLAIN_STATUSES: Final[Mapping[int, Cause]] = MappingProxyType(
    {429: Cause.RATE_LIMITED, 455: Cause.MAINTENANCE}
)
"""HTTP statuses that are a refusal even without an envelope.

A limiter answers 429 in place of the server behind it (RFC 6585), and nobody but the provider uses 455. Every
other status may come from a gateway that had already forwarded the request, so without an envelope it proves
nothing: a 401 or 404 page leaves a createTask in doubt, which costs a poll instead of a second purchase.
"""

MODERATION_WORDS: Final = (
    "nsfw",
    "moderat",
    "sensitive",
    "safety",
    "policy",
    "prohibit",
    "violat",
    "copyright",
    "flagged",
)

FAIL_CODES: Final[Mapping[str, FailCause]] = MappingProxyType(
    {
        "400": FailCause.BAD_INPUT,
        "422": FailCause.BAD_INPUT,
        "422_validation_failed": FailCause.BAD_INPUT,
        "402": FailCause.NO_CREDITS,
    }
)
"""The cause by a task's ``failCode`` in lower case. Any other code is a fault of the provider."""


def refusal(code: int, message: str) -> Cause | None:
    """The cause of a refusal with this code, or None if the code is not known to be a refusal."""
    if code in OVERLOADED_CODES:
        text = message.casefold()
        for cause, words in WORDS:
            if any(word in text for word in words):
                return cause
    return CODES.get(code)


def failure(code: int | str | None, message: str) -> FailCause:
    """The cause of a task's failure.

    Moderation is checked first, because the provider reports it under codes of bad input.
    """
    text = f"{code} {message}".casefold()
    if any(word in text for word in MODERATION_WORDS):
        return FailCause.MODERATION
    if cause := FAIL_CODES.get(str(code).casefold()):
        return cause
    if any(word in text for word in _CREDIT_WORDS):
        return FailCause.NO_CREDITS
    return FailCause.PROVIDER_FAULT
