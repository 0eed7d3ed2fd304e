"""Messages that were set aside, and the key of the marks on the fleet's own messages."""

import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from limner.ledger.layout.keys import FLEET_KEY, LETTERS
from limner.ledger.messages import moment
from limner.ledger.pieces import entries
from limner.ledger.store import Store
from limner.status import Letter

KEEP_LETTERS: Final = 1000
LETTER_SECONDS: Final = 14 * 86_400
"""The limits of the stream of letters: entries, and seconds after the last one."""
LONGEST_WHY: Final = 300
LONGEST_HEAD: Final = 500
"""Characters of a letter. So the stream takes 4 MB at most, in any alphabet."""
_ID: Final = re.compile(r"\d{1,18}-\d{1,18}")


@dataclass(frozen=True, slots=True)
class Unfit:
    """A message that is to be set aside."""

    why: str
    queue: str
    size: int
    head: str


@dataclass(frozen=True, slots=True)
class Letters:
    """The letters of an account group. Raises StoreUnavailable."""

    store: Store

    def put(self, *unfit: Unfit) -> None:
        """Set messages aside. The oldest letters give way."""
        key = LETTERS(self.store.prefix)
        with self.store.pipeline() as pipe:
            for each in unfit:
                fields = {
                    "why": _cut(each.why, LONGEST_WHY),
                    "queue": _cut(each.queue, LONGEST_WHY),
                    "size": each.size,
                    "head": _cut(each.head, LONGEST_HEAD),
                }
                pipe.xadd(key, fields, maxlen=KEEP_LETTERS, approximate=False)
            pipe.expire(key, LETTER_SECONDS)
            pipe.execute()

    def all(self) -> list[Letter]:
        """The letters, the oldest first."""
        with self.store.client() as client:
            return [
                Letter(
                    id=entry,
                    why=fields["why"],
                    at=moment(int(entry.partition("-")[0])),
                    queue=fields["queue"],
                    size=int(fields["size"]),
                    head=fields["head"],
                )
                for entry, fields in entries(client, LETTERS(self.store.prefix))
            ]

    def drop(self, *ids: str) -> int:
        """Drop these letters, or all of them; returns the number of those dropped."""
        key = LETTERS(self.store.prefix)
        known: Sequence[str] = [each for each in ids if _ID.fullmatch(each)]
        if ids and not known:
            return 0
        with self.store.client() as client:
            if not ids:
                # Those that come in between stay.
                known = [entry for entry, _ in client.xrange(key)]
            return int(client.xdel(key, *known)) if known else 0

    def fleet_key(self) -> str:
        """The key of the marks on the fleet's own messages, made by the first who asks for it."""
        key = FLEET_KEY(self.store.prefix)
        with self.store.pipeline() as pipe:
            pipe.set(key, secrets.token_hex(32), nx=True)
            pipe.get(key)
            _, found = pipe.execute()
        return str(found)


def _cut(text: str, most: int) -> str:
    # Half a character of two units cannot be encoded.
    return text[:most].encode(errors="replace").decode()
