"""The tables of contract 1.4, 2.3, which map codes to causes, and what words make of them."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from provider.answers import Cause, Disposition, FailCause
from provider.texts import may_be_over, meaning, plain, without_echo

CODES: Final[Mapping[int, Cause]] = MappingProxyType(
    {
        400: Cause.BAD_REQUEST,
        401: Cause.UNAUTHORIZED,
        402: Cause.NO_CREDITS,
        403: Cause.UNAUTHORIZED,
        # Of createTask, the endpoint is what does not exist: the URL is wrong, or the way leads elsewhere.
        404: Cause.GATEWAY,
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

OVERLOADED_CODES: Final = frozenset({400, 403, 404, 405, 413, 422, 500, 501, 505})
"""Codes under which the provider reports several causes; the message tells them apart."""

_CERTAIN_CODES: Final = frozenset({433, 455})
"""Codes that have one cause, whatever the message says."""

_ACCOUNT_CAUSES: Final = frozenset(cause for cause in Cause if cause.disposition is Disposition.STOP)
_PLAIN_WORDS: Final = _ACCOUNT_CAUSES | {Cause.MODERATION}
"""Causes whose words are a refusal under an unknown code too. The words of bad input and of a disabled model
are also those of faults."""

_ACCEPTING_CODES: Final = frozenset({0, *range(200, 300)})
"""Codes of an acceptance, here or elsewhere: no word makes a refusal of them."""

PLAIN_STATUSES: Final[Mapping[int, Cause]] = MappingProxyType(
    {429: Cause.RATE_LIMITED, 455: Cause.MAINTENANCE}
)
"""HTTP statuses that are a refusal even without an envelope.

A limiter answers 429 in place of the server behind it (RFC 6585), and nobody but the provider uses 455. Every
other status may come from a gateway that had already forwarded the request, so without an envelope it proves
nothing: a 401 page leaves a createTask in doubt, which costs a poll instead of a second purchase.
"""

UNPROCESSED_STATUSES: Final = frozenset({*range(300, 400), 404, 521, 525, 526, 530})
"""HTTP statuses that, without an envelope, prove that the request was not processed (contract 1.3, 10)."""

FAIL_CODES: Final[Mapping[str, FailCause]] = MappingProxyType(
    {
        "400": FailCause.BAD_INPUT,
        "422": FailCause.BAD_INPUT,
        "422_validation_failed": FailCause.BAD_INPUT,
        "402": FailCause.NO_CREDITS,
        "433": FailCause.KEY_CAPPED,
    }
)
"""The cause by a task's ``failCode`` in lower case. Any other code is a fault of the provider."""

TRANSIENT_CODES: Final = frozenset(
    {"408", "429", "430", "455", "500", "501", "502", "503", "504", "generation_failed"}
)
"""The ``failCode`` of faults that may be over, in lower case, unless the words say otherwise."""

_FAILURES: Final[Mapping[Cause, FailCause]] = MappingProxyType(
    {
        Cause.MODERATION: FailCause.MODERATION,
        Cause.BAD_REQUEST: FailCause.BAD_INPUT,
        Cause.NO_CREDITS: FailCause.NO_CREDITS,
        Cause.KEY_CAPPED: FailCause.KEY_CAPPED,
    }
)
"""The meaning of words in a task's failure. Other words speak of the provider's own dealings."""

_OVER_SOON: Final = frozenset({Cause.RATE_LIMITED, Cause.TOO_MANY_RUNNING, Cause.MAINTENANCE})


def refusal(code: int, message: str, prompt: str = "") -> Cause | None:
    """The cause of a refusal with this code, or None if it is not known to be a refusal.

    ``prompt`` is the prompt of the request, whose words in the message mean nothing.
    """
    known = CODES.get(code)
    if code in _CERTAIN_CODES or code in _ACCEPTING_CODES:
        return known
    said = meaning(plain(without_echo(message, prompt)))
    if code in OVERLOADED_CODES:
        return said or known
    trusted = _PLAIN_WORDS if known is None else _ACCOUNT_CAUSES
    return said if said in trusted else known


def failure(
    code: int | str | None, message: str, *, state: str = "", prompt: str = ""
) -> tuple[FailCause, bool]:
    """The cause of a task's failure, and True if it names a fault that may be over.

    Words are checked first, because the provider reports moderation under codes of bad input.
    """
    text = plain(f"{state} {code} {without_echo(message, prompt)}")
    said = meaning(text)
    name = str(code).casefold()
    cause = (_FAILURES.get(said) if said else None) or FAIL_CODES.get(name)
    if cause is not None:
        return cause, False
    if said is not None:
        return FailCause.PROVIDER_FAULT, said in _OVER_SOON
    return FailCause.PROVIDER_FAULT, name in TRANSIENT_CODES or may_be_over(text)
