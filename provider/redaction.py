"""Secrets that come back from outside: the key that an answer quotes, and the tokens of callback URLs.

Whoever quotes a secret may spell it differently. So each character of it counts as itself in either case, as
a JSON or Python escape, percent-encoded, and as an HTML entity, also through several layers of these. UTF-16
and base64 are known as well.
"""

import base64
import json
import re
from collections.abc import Iterable
from functools import cached_property
from typing import Final

HIDDEN: Final = "***"

SHORTEST_SECRET: Final = 16
"""A shorter key is a made-up one, and may occur by chance in a word, a task id or a URL."""

_LAYERS: Final = 16
_SIGNS: Final = ("%", "\\u00", "\\U00", "\\x", "&#", "\0")
"""The signs of an unusual spelling. A text without them is searched only for the plain secret, because this
runs for every answer."""
_BYTE_SIGNS: Final = tuple(sign.encode() for sign in _SIGNS)


def _spelled(text: str) -> str:
    """A regular expression for the ASCII text in any spelling."""
    return "".join(_character(char) for char in text)


def _character(char: str) -> str:
    forms = []
    for form in sorted({char.lower(), char.upper()}):
        code = ord(form)
        digits = "".join(f"[{digit}{digit.upper()}]" if digit.isalpha() else digit for digit in f"{code:02x}")
        forms += [
            re.escape(form),
            rf"\\{{1,{_LAYERS}}}(?:u00|U000000|x){digits}",
            rf"%(?:25){{0,4}}{digits}",
            rf"&#(?:[xX]0{{0,6}}{digits}|0{{0,6}}{code});",
        ]
    return rf"(?:{'|'.join(forms)})\x00{{0,3}}"


_SLASH: Final = (
    rf"(?:\\{{0,{_LAYERS}}}/|\\{{1,{_LAYERS}}}u002[fF]|%(?:25){{0,4}}2[fF]|&#(?:47|[xX]2[fF]);)\x00{{0,3}}"
)
_CALLBACK: Final = re.compile(
    rf"({_SLASH}{_spelled('callbacks')}{_SLASH})(?:[^\s\"'<>\\]|\\{{1,{_LAYERS}}}(?:/|[uU]00[0-9a-fA-F]{{2}}))+"
)


class Redactor:
    """Takes secrets out of bodies and texts, but none of less than :data:`SHORTEST_SECRET` characters.

    It must see a text before anything is cut off it: the rest of a secret would not be found.
    """

    def __init__(self, secrets: Iterable[str]) -> None:
        self._secrets = [one for one in secrets if len(one) >= SHORTEST_SECRET and one.isascii()]
        self._plain = [one.lower().encode() for one in self._secrets]
        self._encoded = [core for one in self._secrets for core in _base64(one)]

    def __repr__(self) -> str:
        return f"Redactor({len(self._secrets)} secrets)"

    @cached_property
    def _pattern(self) -> re.Pattern[bytes]:
        return re.compile("|".join(map(_spelled, self._secrets)).encode())

    def body(self, body: bytes) -> bytes:
        """The body without the secrets. Callback URLs are left, since the ledger compares them."""
        body = utf8(body)
        if not self._secrets:
            return body
        for core in self._encoded:
            if core in body:
                body = body.replace(core, HIDDEN.encode())
        lowered = body.lower()
        if not any(one in lowered for one in self._plain) and not any(sign in body for sign in _BYTE_SIGNS):
            return body
        return self._pattern.sub(HIDDEN.encode(), body)

    def text(self, text: str) -> str:
        """The text for a person, without the secrets and without the tokens of callback URLs."""
        return without_callbacks(self.body(text.encode("utf-8", "replace")).decode("utf-8", "replace"))


def without_callbacks(text: str) -> str:
    """The text without what follows ``/callbacks/``: a job's id and the secret of its attempt.

    A URL that breaks off within the secret loses its rest as well.
    """
    if "callbacks" not in text.lower() and not any(sign in text for sign in _SIGNS):
        return text
    return _CALLBACK.sub(rf"\1{HIDDEN}", text)


def utf8(body: bytes) -> bytes:
    """The body in UTF-8, if it is in UTF-16 or UTF-32; otherwise unchanged."""
    if b"\0" not in body[:64]:
        return body
    encoding = json.detect_encoding(body)
    if encoding.startswith("utf-8"):
        return body
    return body.decode(encoding, "replace").encode("utf-8", "replace")


def _base64(secret: str) -> set[bytes]:
    """The parts of the secret's base64 that do not depend on the text around it, for each offset."""
    cores: set[bytes] = set()
    for offset in range(3):
        raw = b"\0" * offset + secret.encode()
        whole = len(raw) - len(raw) % 3
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            cores.add(encode(raw[:whole])[4 if offset else 0 :])
    return cores
