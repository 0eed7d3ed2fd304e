"""The releases of other packages beside which the wheel is tried."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

__all__ = ["ENDS", "NEIGHBOURS", "PAIRS", "PYDANTIC", "REDIS", "Neighbour"]

REDIS: Final = ("5.0.3", "5.3.1", "6.0.0", "6.4.0", "7.0.1", "7.4.1", "8.0.1", "8.1.0")
"""The first and the last release of each major version. 5.0.0 has no ``from_pool``. In 5.0.1, a pipeline of
asyncio does not repeat a call on a connection that the server has closed. Kombu excludes 5.0.2."""
_OLD_PYDANTIC: Final = ("2.8.0", "2.9.2", "2.10.6", "2.11.10")
PYDANTIC: Final = (*(_OLD_PYDANTIC if sys.version_info < (3, 14) else ()), "2.12.5", "2.13.5", "2.14.4")
"""The lowest release, and the last one of each minor version. Python 3.14 needs 2.12 or newer."""

ENDS: Final = ((REDIS[0], PYDANTIC[0]), (REDIS[-1], PYDANTIC[-1]))
"""The lowest releases together, and the highest ones."""
PAIRS: Final = tuple(
    (redis, pydantic)
    for redis in REDIS
    for pydantic in PYDANTIC
    if redis in (REDIS[0], REDIS[-1]) or pydantic in (PYDANTIC[0], PYDANTIC[-1])
)
"""Each release of one with both ends of the other, since neither package uses the other."""


@dataclass(frozen=True)
class Neighbour:
    """A package that a backend may have beside the wheel."""

    requirements: tuple[str, ...]
    extra: str = ""
    """The extra of the wheel."""
    program: str = "release.ranges.backend"
    """The module that the environment runs."""

    @property
    def name(self) -> str:
        return " ".join(self.requirements)


NEIGHBOURS: Final[Mapping[str, Neighbour]] = {
    neighbour.name: neighbour
    for neighbour in (
        Neighbour(("celery[redis]==5.4.0",)),
        Neighbour(("celery[redis]==5.5.3",)),
        Neighbour(("celery[redis]==5.6.3",)),
        Neighbour(("celery[redis]==5.7.0",)),
        Neighbour(("arq==0.26.3",)),
        Neighbour(("arq==0.28.0",)),
        Neighbour(("fastapi==0.115.5",), extra="callbacks", program="release.ranges.fastapi_app"),
        Neighbour(("fastapi==0.121.3",), extra="callbacks", program="release.ranges.fastapi_app"),
        Neighbour(("fastapi==0.140.0",), extra="callbacks", program="release.ranges.fastapi_app"),
        Neighbour(("fastapi==0.165.0",), extra="callbacks", program="release.ranges.fastapi_app"),
        Neighbour(("celery[redis]==5.4.0", "arq==0.28.0", "fastapi==0.115.5", "pydantic==2.8.2")),
    )
}
"""By name: releases of the last two years, and a backend that has several of them."""
