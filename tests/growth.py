"""Looks for keys of a ledger that could stay for ever."""

from collections.abc import Iterator
from typing import Any, Final

from limner.ledger.layout import keys
from limner.ledger.layout.bounds import LASTING, OF_JOBS
from limner.ledger.layout.keys import KEYS, Key

PIECE: Final = 1000


def kind_of(name: str) -> Key | None:
    """The key of the layout with that name, which lacks the prefix; None if there is none."""
    exact = [key for key in KEYS.values() if key.name == name and not key.of]
    families = [key for key in KEYS.values() if key.of and name.startswith(key.name)]
    # "ready:polls:main" begins like "ready:" as well.
    return exact[0] if exact else max(families, key=lambda key: len(key.name), default=None)


def unbounded(client: Any, prefix: str) -> list[str]:
    """The keys that have no time to live, and are not among those whose bound the layout states.

    A record, a log or an idempotency key may lack a time to live only as long as its job waits for something.
    """
    listed = {key for lasting in LASTING for key in lasting.keys}
    without_end = list(_without_end(client, prefix))
    found, of_jobs = [], []
    for name in without_end:
        key = kind_of(name)
        if key not in listed:
            found.append(name)
        elif key in OF_JOBS.keys:
            of_jobs.append((name, key))
    if of_jobs:
        waiting = _waiting(client, prefix)
        found += [name for name, key in of_jobs if _job(client, prefix, name, key) not in waiting]
    return sorted(found)


def _without_end(client: Any, prefix: str) -> Iterator[str]:
    pattern = prefix.replace("[", "\\[") + "*"
    cursor = 0
    while True:
        cursor, piece = client.scan(cursor, match=pattern, count=PIECE)
        with client.pipeline(transaction=False) as pipe:
            for key in piece:
                pipe.pttl(key)
            for key, left in zip(piece, pipe.execute(), strict=True):
                if left == -1:
                    yield key.removeprefix(prefix)
        if not cursor:
            return


def _job(client: Any, prefix: str, name: str, key: Key) -> str:
    return str(client.get(prefix + name)) if key is keys.KEY else name.removeprefix(key.name)


def _waiting(client: Any, prefix: str) -> set[str]:
    """The jobs that some index has."""
    indexes = [keys.DUE(prefix), keys.READY(prefix), keys.COPIES(prefix), keys.APART(prefix)]
    for family in (keys.READY_OF, keys.READY_POLLS, keys.OVER_BUDGET_OF):
        indexes += client.scan_iter(match=family(prefix, "*"), count=PIECE)
    return {job for index in set(indexes) for job in client.zrange(index, 0, -1)}
