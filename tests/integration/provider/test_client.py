"""The client as its users see it: reads, connections, cookies, threads, and the hidden key."""

import logging
import os
import threading
import traceback
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

import pytest

from provider import (
    Accepted,
    Cause,
    Done,
    Pending,
    ProviderError,
    Refused,
    Unreadable,
    Why,
)
from provider.transport import KEEPALIVE_SECONDS
from tests.integration.provider.conftest import KEY, PROMPT, MakeClient
from tests.integration.provider.raw import ACCEPTED, TASK, Conversation, RawServer, always, http

ESCAPED = "".join(f"\\u{ord(char):04X}" for char in KEY)
DONE = (
    b'{"code":200,"msg":"success","data":{"state":"success","creditsConsumed":3.5,'
    b'"resultJson":"{\\"resultUrls\\":[\\"https://images.example/a.png\\"]}"}}'
)


def test_record_info_returns_the_record(make_client: MakeClient) -> None:
    with RawServer(always(http(DONE))) as server:
        answer = make_client(server.url).record_info("a/b?c=ü")
    assert answer == Done(("https://images.example/a.png",), Decimal("3.5"), None, None)
    assert server.requests[0].startswith(b"GET /api/v1/jobs/recordInfo?taskId=a%2Fb%3Fc%3D%C3%BC HTTP/1.1")


def test_the_record_of_another_task_is_unreadable(make_client: MakeClient) -> None:
    with RawServer(always(http(b'{"code":200,"data":{"taskId":"b","state":"waiting"}}'))) as server:
        answer = make_client(server.url).record_info("a")
    assert answer == Unreadable(Why.OTHER_TASK, 200, 200, "")


def test_a_relative_url_is_one_of_the_api_s_host(make_client: MakeClient) -> None:
    with RawServer(always(http(b'{"code":200,"data":{"state":"success","response":["/a.png"]}}'))) as server:
        client = make_client(f"{server.url}/base")
        answer = client.record_info("a")
        url = f"{server.url}/a.png"
    assert answer == Done((url,), None, None, None, relative=1)


def test_a_broken_read_is_unreadable(make_client: MakeClient) -> None:
    def hang_up(conversation: Conversation) -> None:
        conversation.receive()
        conversation.reset()

    with RawServer(hang_up) as server:
        answer = make_client(server.url).record_info(TASK)
    assert isinstance(answer, Unreadable)
    assert (answer.why, answer.cause) == (Why.BROKEN_OFF, None)


def test_a_read_without_a_connection_is_not_connected(make_client: MakeClient) -> None:
    with RawServer(Conversation.wait) as server:
        url = server.url
    answer = make_client(url).record_info(TASK)
    assert isinstance(answer, Unreadable)
    assert (answer.why, answer.cause) == (Why.NOT_CONNECTED, Cause.NOT_CONNECTED)


def test_credits_returns_the_balance(make_client: MakeClient) -> None:
    with RawServer(always(http(b'{"code":200,"msg":"success","data":5916.25}'))) as server:
        assert make_client(server.url).credits() == Decimal("5916.25")
    assert server.requests[0].startswith(b"GET /api/v1/chat/credit HTTP/1.1")


def test_a_refused_balance_raises_a_typed_error(make_client: MakeClient) -> None:
    with RawServer(always(http(b'{"code":401,"msg":"Unauthorized"}'))) as server:
        client = make_client(server.url)
        with pytest.raises(ProviderError, match="unauthorized") as caught:
            client.credits()
    assert caught.value.answer.cause is Cause.UNAUTHORIZED


def test_the_pool_has_one_connection_for_each_concurrent_exchange(make_client: MakeClient) -> None:
    together = threading.Barrier(5)

    def script(conversation: Conversation) -> None:
        # No request is answered before all four have arrived, each on its own connection.
        if not together.broken:
            together.wait(5)
        always(http(ACCEPTED))(conversation)

    with RawServer(script) as server, ThreadPoolExecutor(4) as threads:
        client = make_client(server.url)
        first = [threads.submit(client.create_task, PROMPT) for _ in range(4)]
        together.wait(5)
        assert [done.result(10) for done in first] == [Accepted(TASK)] * 4
        for _ in range(8):
            assert client.create_task(PROMPT) == Accepted(TASK)
        client.close()
    assert (server.connections, len(server.requests)) == (4, 12)


def test_surplus_connections_are_closed_after_a_long_idle_time(
    make_client: MakeClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    together, closed = threading.Barrier(3), threading.Semaphore(0)

    def script(conversation: Conversation) -> None:
        together.wait(5)
        always(http(ACCEPTED))(conversation)
        closed.release()

    with RawServer(script) as server, ThreadPoolExecutor(2) as threads:
        client = make_client(server.url)
        first = [threads.submit(client.create_task, PROMPT) for _ in range(2)]
        together.wait(5)
        assert [done.result(10) for done in first] == [Accepted(TASK)] * 2
        oldest = client._transport._idle[0]
        oldest.idle_since -= KEEPALIVE_SECONDS + 1
        assert client.create_task(PROMPT) == Accepted(TASK)
        assert closed.acquire(timeout=5)
        assert oldest not in client._transport._idle
        client.close()
    assert (server.connections, len(server.requests)) == (2, 3)


def test_a_forked_child_does_not_use_its_parent_s_connection(make_client: MakeClient) -> None:
    with RawServer(always(http(ACCEPTED))) as server:
        client = make_client(server.url)
        client.create_task(PROMPT)
        child = os.fork()
        if child == 0:
            accepted = False
            try:
                accepted = client.create_task(PROMPT) == Accepted(TASK)
            finally:
                os._exit(0 if accepted else 1)
        _, status = os.waitpid(child, 0)
        assert os.waitstatus_to_exitcode(status) == 0
        assert client.create_task(PROMPT) == Accepted(TASK)
        client.close()
    assert (server.connections, len(server.requests)) == (2, 3)


def test_cookies_are_not_kept(make_client: MakeClient) -> None:
    answer = http(ACCEPTED, headers="Set-Cookie: JSESSIONID=abc; Path=/\r\n")
    with RawServer(always(answer)) as server:
        client = make_client(server.url)
        client.create_task(PROMPT)
        client.create_task(PROMPT)
        client.close()
    assert len(server.requests) == 2
    assert b"cookie" not in server.requests[1].lower()


def test_a_refused_proxy_tunnel_is_not_connected(
    make_client: MakeClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    with RawServer(always(http(b"", status="403 Forbidden"))) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        answer = make_client("https://api.kie.test").create_task(PROMPT)
    assert isinstance(answer, Refused)
    assert answer.cause is Cause.NOT_CONNECTED
    [request] = proxy.requests
    assert request.startswith(b"CONNECT api.kie.test:443")
    assert KEY.encode() not in request


def test_plain_requests_reuse_one_connection_to_the_proxy(
    make_client: MakeClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    with RawServer(always(http(ACCEPTED))) as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url.replace("//", "//user:pass@"))
        client = make_client("http://api.kie.test/base")
        assert [client.create_task(PROMPT) for _ in range(2)] == [Accepted(TASK)] * 2
    assert (proxy.connections, len(proxy.requests)) == (1, 2)
    for request in proxy.requests:
        head = request.partition(b"\r\n\r\n")[0].split(b"\r\n")
        assert head[0] == b"POST http://api.kie.test/base/api/v1/jobs/createTask HTTP/1.1"
        assert {b"Host: api.kie.test", b"Proxy-Authorization: Basic dXNlcjpwYXNz"} <= set(head)


def test_a_tunnel_with_failed_tls_is_replaced_for_the_next_request(
    make_client: MakeClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def break_tls(conversation: Conversation) -> None:
        conversation.receive()
        conversation.send(b"HTTP/1.1 200 Connection established\r\n\r\n")
        conversation.socket.recv(65536)
        conversation.send(b"220 mail.example ESMTP\r\n" * 10)
        conversation.wait()

    with RawServer(break_tls) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        client = make_client("https://api.kie.test")
        answers = [client.create_task(PROMPT) for _ in range(2)]
    for answer in answers:
        assert isinstance(answer, Refused)
        assert "ConnectError" in answer.message
    assert proxy.connections == 2


def test_an_expired_idle_connection_is_replaced(
    make_client: MakeClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("provider.transport.KEEPALIVE_SECONDS", 0.0)
    with RawServer(always(http(ACCEPTED))) as server:
        client = make_client(server.url)
        assert [client.create_task(PROMPT) for _ in range(2)] == [Accepted(TASK)] * 2
    assert (server.connections, len(server.requests)) == (2, 2)


def test_the_key_occurs_only_in_the_authorization_header(
    make_client: MakeClient, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    seen: list[object] = []
    turns = [
        http(ACCEPTED),
        http(f'{{"code":401,"msg":"the key {KEY} is unknown"}}'.encode()),
        http(f"<html>{KEY}".encode(), status="502 Bad Gateway"),
        http(f"<html>{KEY}".encode("utf-16"), status="502 Bad Gateway"),
        http(f'{{"code":401,"msg":"the key {ESCAPED} is unknown"}}'.encode()),
        http(f'{{"code":401,"msg":"the key {KEY.upper()} is unknown"}}'.encode()),
        http(b"", status=f"502 {KEY}"),
        http(b"", status="302 Found", headers=f"Location: /{KEY}\r\n"),
        b"HTTP/1.1 200 OK\r\n" + KEY.encode() + b"\r\n\r\n",
        b"",
    ]
    for turn in turns:

        def once(conversation: Conversation, turn: bytes = turn) -> None:
            conversation.receive()
            conversation.send(turn)

        with RawServer(once) as server:
            client = make_client(server.url)
            seen += [client, vars(client), client.create_task(PROMPT), client.record_info(TASK)]
            with pytest.raises(ProviderError) as caught:
                client.credits()
            seen += [caught.value, caught.value.args, *traceback.format_exception(caught.value)]
            assert caught.value.__context__ is None
        assert server.requests
        for request in server.requests:
            assert request.count(KEY.encode()) == 1
            assert f"authorization: bearer {KEY}".encode() in request.lower()
    assert caplog.records == []
    for value in seen:
        assert KEY not in f"{value} {value!r}"
        assert KEY.upper() not in f"{value} {value!r}"


def test_a_refused_read_differs_from_a_pending_task(make_client: MakeClient) -> None:
    pending = http(b'{"code":200,"data":{"state":"waiting"}}')
    with RawServer(always(pending)) as server:
        assert make_client(server.url).record_info(TASK) == Pending("waiting", known_state=True)
    with RawServer(always(http(b"", status="429 Too Many", headers="Retry-After: 2\r\n"))) as server:
        answer = make_client(server.url).record_info(TASK)
    assert isinstance(answer, Unreadable)
    assert (answer.cause, answer.retry_after) == (Cause.RATE_LIMITED, 2.0)
