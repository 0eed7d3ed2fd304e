"""The meaning of the provider's texts, by the table of :mod:`provider.words`."""

import re
from typing import Final

from provider.answers import Cause
from provider.words import WORDS

_SHORTEST_ECHO: Final = 16

_TRANSIENT: Final = re.compile(
    r"\btime[d -]? ?out\b|\btry(?:ing)? (?:it )?again\b|\bretry\b|\bbusy\b|\boverload(?:ed)?\b"
    r"|\binternal (?:server )?error\b|\bserver (?:exception|error)\b|\bunavailable\b|\btemporar(?:y|ily)\b"
    r"|\bconnection (?:reset|refused|closed|error)\b|\bnetwork (?:error|failure)\b"
    r"|超时|繁忙|稍后|重试|系统(?:错误|异常)|服务器?(?:内部)?(?:错误|异常)"
)
_WITHHELD: Final = re.compile(
    r"\b(?:withheld|unsafe)\b|\b(?:blocked|filtered|removed) (?:by|as|for|because)\b"
)

_CAMEL: Final = re.compile(r"(?<=[a-z])(?=[A-Z])")
_QUOTED: Final = re.compile(r"\"[^\"]*\"|“[^”]*”|「[^」]*」|`[^`]*`|(?<!\w)'[^']*'(?!\w)")


def plain(text: str) -> str:
    """The text as the table expects it: folded case, the words of ``camelCase`` and ``SNAKE_CASE`` apart.

    A passage in quotation marks is left out, since it mostly quotes the request; in JSON they enclose all.
    """
    unquoted = text if text.startswith(("{", "[")) else _QUOTED.sub(" ", text)
    words = _CAMEL.sub(" ", unquoted).casefold()
    return " ".join(words.replace("_", " ").replace("\u2019", "'").split())


def without_echo(message: str, prompt: str) -> str:
    """The message without the prompt or its beginning, which may be repeated without quotation marks.

    A short prompt is left in, since it may be a word of the provider's own.
    """
    echo = " ".join(prompt.split())
    at = message.find(echo[:_SHORTEST_ECHO]) if len(echo) >= _SHORTEST_ECHO else -1
    if at < 0:
        return message
    end = at
    for here, there in zip(message[at:], echo, strict=False):
        if here != there:
            break
        end += 1
    return f"{message[:at]} {message[end:]}"


def meaning(text: str) -> Cause | None:
    """The cause that a text of :func:`plain` names, or None if it has no known words."""
    return next((row.cause for row in WORDS if row.pattern.search(text)), None)


def may_be_over(text: str) -> bool:
    """True if a text of :func:`plain` names a fault that may be over when the request is repeated."""
    return _TRANSIENT.search(text) is not None


def says_withheld(text: str) -> bool:
    """True if a text of :func:`plain` says that images were made and held back."""
    return meaning(text) is Cause.MODERATION or _WITHHELD.search(text) is not None
