"""The checks of objects' names before a storage sees them, their URLs, and the object that a check writes."""

import re
import secrets
from typing import Final
from urllib.parse import quote

PROBE: Final = b"Limner checks that it can write here. This object can be deleted.\n"

_NAME: Final = re.compile(r"(?!.*(?:^|/)\.{1,2}(?:/|$))[A-Za-z0-9._=-]+(?:/[A-Za-z0-9._=-]+)*")


def checked(name: str) -> str:
    """Return a relative name; raises ValueError for one that could leave its prefix."""
    if not _NAME.fullmatch(name) or len(name) > 1000:
        raise ValueError("is not the name of an object")
    return name


def joined(base: str, name: str) -> str:
    """Return the URL of an object under a base."""
    return f"{base}/{quote(checked(name), safe='/=')}"


def probe_name() -> str:
    """Return a name that no other check and no image has."""
    return f".limner/check-{secrets.token_hex(8)}"
