"""Names and their addresses, for tests."""

import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

NAMES: Final[Mapping[str, Sequence[str]]] = {
    "files.test": ["8.8.8.8"],
    "xn--bcher-kva.test": ["93.184.216.34"],
    "127.0.0.1.files.test": ["8.8.4.4"],
    "a_b--c.files.test": ["8.8.4.4"],
    "ipv6.test": ["2606:4700::1111"],
    "both.test": ["2606:4700::1111", "8.8.8.8"],
    "localhost": ["127.0.0.1", "::1"],
    "loopback.test": ["127.0.0.1"],
    "loopback6.test": ["::1"],
    "mapped.test": ["::ffff:127.0.0.1"],
    "private.test": ["192.168.0.10"],
    "link-local.test": ["169.254.10.10"],
    "zone.test": ["fe80::1%1"],
    "metadata.test": ["169.254.169.254"],
    "cgnat.test": ["100.64.0.1"],
    "nat64.test": ["64:ff9b::a00:1"],
    "6to4.test": ["2002:a00:1::1"],
    "teredo.test": ["2001::1"],
    "unspecified.test": ["0.0.0.0"],
    "multicast.test": ["224.0.0.251"],
    "broadcast.test": ["255.255.255.255"],
    "unique-local.test": ["fd12::1"],
    "mixed.test": ["8.8.8.8", "10.0.0.1"],
    "last-of-many.test": [*(f"8.8.8.{number}" for number in range(50)), "127.0.0.1"],
    "no-address.test": ["files.test"],
}


@dataclass
class Names:
    """A resolver that knows these names, and remembers what it was asked."""

    known: Mapping[str, Sequence[str]] = field(default_factory=lambda: NAMES)
    asked: list[str] = field(default_factory=list)

    def __call__(self, name: str) -> Sequence[str]:
        self.asked.append(name)
        if name not in self.known:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return self.known[name]
