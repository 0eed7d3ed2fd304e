"""A connection goes to a checked address, and TLS proves that the host is there."""

import socket
import threading

import pytest

from limner._fetch.connection import Guard
from limner._fetch.deadline import Deadline, Limits
from limner._fetch.faults import FetchError, FetchFault
from limner._fetch.urls import parse
from tests.integration.limner._fetch.certificates import Authority
from tests.integration.limner._fetch.conftest import Leaving
from tests.integration.limner._fetch.names import NAMES, Names
from tests.integration.limner._fetch.serving import Secured
from tests.integration.provider.raw import Conversation, RawServer, always, http

OWN = "own.test"
"""A plain host on this machine."""


def guard(authority: Authority, addresses: list[str] | None = None) -> Guard:
    names = Names({**NAMES, OWN: addresses or ["127.0.0.1"]})
    return Guard(plain_hosts=[OWN], resolve=names, tls=authority.client())


def url(server: RawServer, host: str = OWN, scheme: str = "https") -> str:
    return server.url.replace("http://127.0.0.1", f"{scheme}://{host}")


def connect(guard: Guard, text: str, *, idle_seconds: float = 5) -> None:
    guard.connect(parse(text), Deadline(Limits(idle_seconds=idle_seconds))).close()


def fault(guard: Guard, text: str, *, idle_seconds: float = 5) -> tuple[FetchFault, str]:
    with pytest.raises(FetchError) as caught:
        connect(guard, text, idle_seconds=idle_seconds)
    return caught.value.fault, str(caught.value)


def test_a_host_is_named_in_the_handshake_and_proves_itself(authority: Authority) -> None:
    script = Secured(authority.server([OWN]), always(http(b"")))
    with RawServer(script) as server:
        connect(guard(authority), url(server))
    assert script.hosts == [OWN]


@pytest.mark.parametrize(
    ("hosts", "expired", "reason"), [(["other.test"], False, "mismatch"), ([OWN], True, "expired")]
)
def test_a_wrong_certificate_is_refused(
    authority: Authority, hosts: list[str], expired: bool, reason: str
) -> None:
    with RawServer(Secured(authority.server(hosts, expired=expired), always(http(b"")))) as server:
        said = fault(guard(authority), url(server))
    assert said[0] is FetchFault.UNREACHABLE
    assert reason in said[1]


def test_a_certificate_of_an_unknown_authority_is_refused(authority: Authority) -> None:
    names = Names({OWN: ["127.0.0.1"]})
    with RawServer(Secured(authority.server([OWN]), always(http(b"")))) as server:
        said = fault(Guard(plain_hosts=[OWN], resolve=names), url(server))
    assert said[0] is FetchFault.UNREACHABLE
    assert "certificate is not valid" in said[1]


def test_a_server_without_tls_is_refused(authority: Authority) -> None:
    def greet(conversation: Conversation) -> None:
        conversation.send(http(b"in clear text"))

    with RawServer(greet) as server:
        said = fault(guard(authority), url(server))
    assert said == (FetchFault.UNREACHABLE, "the TLS handshake failed")


def test_a_handshake_that_hangs_is_too_slow(authority: Authority) -> None:
    with RawServer(Conversation.wait) as server:
        said = fault(guard(authority), url(server), idle_seconds=0.1)
    assert said == (FetchFault.TOO_SLOW, "waited 0.1 s for the TLS handshake")


def test_a_handshake_that_drips_is_bounded_as_a_whole(authority: Authority) -> None:
    def drip(conversation: Conversation) -> None:
        # The head of a record of 16 KiB, and then one byte after the other.
        conversation.send(b"\x16\x03\x03\x40\x00")
        while not conversation.done.wait(0.02):
            conversation.send(b"\x02")

    with RawServer(drip) as server:
        assert fault(guard(authority), url(server), idle_seconds=0.3)[0] is FetchFault.TOO_SLOW


def test_a_connection_that_is_not_accepted_is_too_slow(authority: Authority) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        waiting = []
        for _ in range(8):  # more than the backlog of a listener that never accepts
            filler = socket.socket()
            filler.setblocking(False)
            filler.connect_ex(listener.getsockname())
            waiting.append(filler)
        try:
            text = f"http://{OWN}:{listener.getsockname()[1]}/"
            said = fault(guard(authority), text, idle_seconds=0.1)
        finally:
            for filler in waiting:
                filler.close()
    assert said == (FetchFault.TOO_SLOW, "waited 0.1 s for a connection")


def test_the_next_address_is_tried_if_one_fails(authority: Authority, leaving: Leaving) -> None:
    # The server does not listen on ::1.
    with RawServer(always(http(b""))) as server:
        connect(guard(authority, ["::1", "127.0.0.1"]), url(server, scheme="http"))
        assert [address[0] for address in leaving.addresses] == ["::1", "127.0.0.1"]


def test_only_some_addresses_are_tried(authority: Authority, leaving: Leaving) -> None:
    with RawServer(always(http(b""))) as server:
        said = fault(guard(authority, 9 * ["::1"]), url(server, scheme="http"))
    assert said[0] is FetchFault.UNREACHABLE
    assert [address[0] for address in leaving.addresses] == 4 * ["::1"]


def test_both_families_of_addresses_get_their_turn(authority: Authority, leaving: Leaving) -> None:
    with RawServer(always(http(b""))) as server:
        connect(guard(authority, [*(8 * ["::1"]), "127.0.0.1"]), url(server, scheme="http"))
    assert [address[0] for address in leaving.addresses] == ["::1", "127.0.0.1"]


@pytest.mark.parametrize(
    "address", ["169.254.169.254", "0.0.0.0", "224.0.0.1", "::ffff:127.0.0.1", "100.100.100.200", "fe80::1"]
)
def test_even_a_plain_host_does_not_live_everywhere(authority: Authority, address: str) -> None:
    assert fault(guard(authority, [address]), f"http://{OWN}/")[0] is FetchFault.FORBIDDEN


def test_one_wrong_address_spoils_them_all(authority: Authority, leaving: Leaving) -> None:
    with RawServer(always(http(b""))) as server:
        said = fault(guard(authority, ["127.0.0.1", "169.254.169.254"]), url(server, scheme="http"))
    assert (said[0], leaving.addresses) == (FetchFault.FORBIDDEN, [])


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "loopback.test"])
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_plain_host_is_exactly_the_one_that_was_named(
    authority: Authority, leaving: Leaving, host: str, scheme: str
) -> None:
    with RawServer(always(http(b""))) as server:
        assert fault(guard(authority), url(server, host, scheme))[0] is FetchFault.FORBIDDEN
    assert leaving.addresses == []


def test_a_name_server_that_hangs_is_too_slow() -> None:
    over = threading.Event()

    def hang(name: str) -> list[str]:
        over.wait(30)
        return [name]

    try:
        said = fault(Guard(resolve=hang), "https://files.test/", idle_seconds=0.05)
    finally:
        over.set()
    assert said == (FetchFault.TOO_SLOW, "waited 0.05 s for the lookup of its name")


def test_the_certificates_of_the_system_are_the_default() -> None:
    context = Guard()._tls
    assert context.check_hostname
    assert context.verify_mode.name == "CERT_REQUIRED"
