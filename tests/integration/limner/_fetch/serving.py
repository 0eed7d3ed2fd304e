"""Servers with TLS, and proxies, of bare sockets."""

import ssl
from collections.abc import Callable
from dataclasses import dataclass, field

from tests.integration.provider.raw import Conversation

Script = Callable[[Conversation], None]


@dataclass
class Secured:
    """A script that speaks TLS, and remembers for which host the client asked."""

    context: ssl.SSLContext
    script: Script
    hosts: list[str | None] = field(default_factory=list)

    def __post_init__(self) -> None:
        def remember(_socket: ssl.SSLObject, host: str | None, _context: ssl.SSLContext) -> None:
            self.hosts.append(host)

        self.context.sni_callback = remember

    def __call__(self, conversation: Conversation) -> None:
        with self.context.wrap_socket(conversation.socket, server_side=True) as secured:
            self.script(Conversation(secured, conversation.done, conversation.requests))


@dataclass
class Tunnel:
    """A script of a proxy behind which there is one origin, whatever address is asked for."""

    origin: Script
    places: list[str] = field(default_factory=list)
    refuses: frozenset[str] = frozenset()

    def __call__(self, conversation: Conversation) -> None:
        place = conversation.receive().split()[1].decode()
        self.places.append(place)
        if place in self.refuses:
            conversation.send(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 3\r\n\r\nbad")
            return
        conversation.send(b"HTTP/1.1 200 Connection established\r\n\r\n")
        self.origin(conversation)
