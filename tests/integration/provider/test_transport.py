"""A createTask on real sockets: its outcome after every kind of failure, and that it is never sent twice."""

import gzip
import json
import socket
import threading
import time
from collections.abc import Callable

import httpcore
import pytest

from limner.models import TextToImage
from provider import Accepted, Cause, Refused, Timeouts, Unknown, Why
from tests.conftest import eventually
from tests.integration.provider.conftest import KEY, PROMPT, QUICK, MakeClient
from tests.integration.provider.raw import ACCEPTED, TASK, Conversation, RawServer, always, http

CALLBACK = "https://hooks.example/callbacks/1/a"


def test_a_request_follows_the_contract(make_client: MakeClient) -> None:
    prompt = TextToImage(prompt="一只红色的风筝")
    with RawServer(always(http(ACCEPTED))) as server:
        answer = make_client(server.url + "/base/").create_task(prompt, CALLBACK)
    assert answer == Accepted(TASK)
    [request] = server.requests
    head, _, body = request.partition(b"\r\n\r\n")
    line, *fields = head.decode().split("\r\n")
    assert line == "POST /base/api/v1/jobs/createTask HTTP/1.1"
    headers = {name.lower(): value for name, value in (field.split(": ", 1) for field in fields)}
    assert headers["authorization"] == f"Bearer {KEY}"
    assert headers["content-type"] == "application/json"
    assert headers["user-agent"] == "limner"
    sent = json.loads(body)
    assert (sent["callBackUrl"], sent["input"]["prompt"]) == (CALLBACK, prompt.prompt)


def test_a_refused_port_is_a_refusal_to_try_later(make_client: MakeClient) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    answer = make_client(f"http://127.0.0.1:{port}").create_task(PROMPT)
    assert isinstance(answer, Refused)
    assert (answer.cause, answer.code, answer.http_status) == (Cause.NOT_CONNECTED, None, None)


def test_an_unresolvable_host_is_a_refusal_to_try_later(make_client: MakeClient) -> None:
    answer = make_client("http://nowhere.invalid").create_task(PROMPT)
    assert isinstance(answer, Refused)
    assert answer.cause is Cause.NOT_CONNECTED


def test_an_unaccepted_connection_is_a_refusal_to_try_later(make_client: MakeClient) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        waiting = []
        for _ in range(8):  # more than the backlog of a listener that never accepts
            filler = socket.socket()
            filler.setblocking(False)
            filler.connect_ex(listener.getsockname())
            waiting.append(filler)
        answer = make_client(f"http://127.0.0.1:{listener.getsockname()[1]}").create_task(PROMPT)
        for filler in waiting:
            filler.close()
    assert isinstance(answer, Refused)
    assert answer.cause is Cause.NOT_CONNECTED
    assert "ConnectTimeout" in answer.message


def test_a_server_without_tls_is_a_refusal_to_try_later(make_client: MakeClient) -> None:
    def garble(conversation: Conversation) -> None:
        conversation.socket.recv(65536)
        conversation.send(b"220 mail.example ESMTP\r\n" * 10)
        conversation.wait()

    with RawServer(garble) as server:
        answer = make_client(server.url.replace("http:", "https:")).create_task(PROMPT)
    assert isinstance(answer, Refused)
    assert answer.cause is Cause.NOT_CONNECTED


def test_a_missing_tls_handshake_is_a_refusal_to_try_later(make_client: MakeClient) -> None:
    with RawServer(Conversation.wait) as server:
        answer = make_client(server.url.replace("http:", "https:")).create_task(PROMPT)
    assert isinstance(answer, Refused)
    assert answer.cause is Cause.NOT_CONNECTED


def test_nothing_is_sent_after_the_deadline(make_client: MakeClient) -> None:
    with RawServer(always(http(ACCEPTED))) as server:
        client = make_client(server.url, timeouts=Timeouts(total=0.0))
        answer = client.create_task(PROMPT)
    assert isinstance(answer, Refused)
    assert answer.cause is Cause.NOT_CONNECTED
    assert server.requests == []


def test_a_closed_client_sends_nothing(make_client: MakeClient) -> None:
    with RawServer(always(http(ACCEPTED))) as server:
        client = make_client(server.url)
        client.close()
        answer = client.create_task(PROMPT)
    assert isinstance(answer, Refused)
    assert answer.cause is Cause.NOT_SENT
    assert server.connections == 0


def test_nothing_is_sent_if_the_client_is_closed_just_before_sending(
    make_client: MakeClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    with RawServer(always(http(ACCEPTED))) as server:
        client = make_client(server.url)
        assert client.create_task(PROMPT) == Accepted(TASK)

        def has_expired(_: httpcore.HTTPConnection) -> bool:
            client.close()
            return False

        monkeypatch.setattr(httpcore.HTTPConnection, "has_expired", has_expired)
        answer = client.create_task(PROMPT)
    assert isinstance(answer, Refused)
    assert answer.cause is Cause.NOT_SENT
    assert len(server.requests) == 1


def test_nothing_goes_out_without_the_permission_and_the_client_stays_usable(make_client: MakeClient) -> None:
    refused = Refused(Cause.NOT_SENT, None, None, "NotSent: the permission to send the request had expired")
    came: list[bytes] = []

    def listen(conversation: Conversation) -> None:
        # Every byte that comes, and not only complete requests.
        while data := conversation.socket.recv(65536):
            came.append(data)
            conversation.send(http(ACCEPTED))

    with RawServer(listen) as server:
        client = make_client(server.url)
        assert client.create_task(PROMPT, may_send=lambda: False) == refused
        assert client.create_task(PROMPT, may_send=lambda: True) == Accepted(TASK)
        # The connection is open now.
        assert client.create_task(PROMPT, may_send=lambda: False) == refused
        assert client.create_task(PROMPT) == Accepted(TASK)
        assert client.create_task(PROMPT) == Accepted(TASK)
        # Each connection on which nothing could be sent is replaced, and the others are kept.
        assert server.connections == 3
    assert [data.count(b"POST ") for data in came] == [1, 1, 1]


def test_the_permission_is_asked_after_the_connection_is_made(make_client: MakeClient) -> None:
    with RawServer(always(http(ACCEPTED))) as server:
        connections: list[int] = []

        def may_send() -> bool:
            eventually(lambda: server.connections)
            connections.append(len(server.requests))
            return True

        assert make_client(server.url).create_task(PROMPT, may_send=may_send) == Accepted(TASK)
    assert connections == [0]


def test_no_tunnel_is_asked_for_without_the_permission(
    make_client: MakeClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    refusal = b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n"
    with RawServer(always(refusal)) as proxy:
        monkeypatch.setenv("https_proxy", proxy.url)
        client = make_client("https://api.example")
        forbidden = client.create_task(PROMPT, may_send=lambda: False)
        allowed = client.create_task(PROMPT, may_send=lambda: True)
        assert proxy.connections == 2
    assert isinstance(forbidden, Refused)
    assert isinstance(allowed, Refused)
    assert (forbidden.cause, allowed.cause) == (Cause.NOT_SENT, Cause.NOT_CONNECTED)
    assert [request[:7] for request in proxy.requests] == [b"CONNECT"]


def test_a_request_is_sent_in_one_piece(make_client: MakeClient, monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[bytes] = []
    send = socket.socket.send

    def spied(connection: socket.socket, data: bytes, *flags: int) -> int:
        sent.append(bytes(data))
        return send(connection, data, *flags)

    with RawServer(always(http(ACCEPTED))) as server:
        client = make_client(server.url)
        monkeypatch.setattr(socket.socket, "send", spied)
        assert client.create_task(PROMPT) == Accepted(TASK)
    assert sent == server.requests


HALF = http(ACCEPTED)[:-20]


def after_request(act: Callable[[Conversation], None]) -> Callable[[Conversation], None]:
    def script(conversation: Conversation) -> None:
        conversation.receive()
        act(conversation)

    return script


def send_then_reset(data: bytes) -> Callable[[Conversation], None]:
    def act(conversation: Conversation) -> None:
        conversation.send(data)
        conversation.reset()

    return after_request(act)


def drip(head: bytes) -> Callable[[Conversation], None]:
    def act(conversation: Conversation) -> None:
        conversation.send(head)
        while not conversation.done.wait(0.05):
            conversation.send(b"x")

    return after_request(act)


def stall(conversation: Conversation) -> None:
    conversation.send(HALF)
    conversation.wait()


def interim(conversation: Conversation) -> None:
    while not conversation.done.wait(0.05):
        conversation.send(b"HTTP/1.1 102 Processing\r\n\r\n")


TEN_MEGABYTES = b'{"code":200,"data":{"taskId":"' + b"a" * 10_000_000 + b'"}}'
BOMB = gzip.compress(b'{"code":200,"data":{"taskId":"' + b"a" * 50_000_000 + b'"}}')
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"

IN_DOUBT: dict[str, tuple[Callable[[Conversation], None], Why]] = {
    "reset after the request": (after_request(Conversation.reset), Why.BROKEN_OFF),
    "hung up after the request": (after_request(lambda _: None), Why.BROKEN_OFF),
    "half a header": (send_then_reset(b"HTTP/1.1 200 OK\r\nContent-Le"), Why.BROKEN_OFF),
    "reset in the body": (send_then_reset(HALF), Why.BROKEN_OFF),
    "hung up in the body": (after_request(lambda c: c.send(HALF)), Why.BROKEN_OFF),
    "hung up between chunks": (after_request(lambda c: c.send(CHUNKED + b"3\r\n{}\n\r\n")), Why.BROKEN_OFF),
    "bad chunk": (after_request(lambda c: c.send(CHUNKED + b"zz\r\n")), Why.BROKEN_OFF),
    "not HTTP": (after_request(lambda c: c.send(b"220 mail.example ESMTP\r\n\r\n")), Why.BROKEN_OFF),
    "endless header": (
        after_request(lambda c: c.send(b"HTTP/1.1 200 OK\r\nA: " + b"a" * 10**6)),
        Why.BROKEN_OFF,
    ),
    "silence": (after_request(Conversation.wait), Why.TIMED_OUT),
    "silence in the body": (after_request(stall), Why.TIMED_OUT),
    "dripping header": (drip(b"HTTP/1.1 200 OK\r\nA: "), Why.TIMED_OUT),
    "dripping body": (drip(b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n"), Why.TIMED_OUT),
    "endless interim answers": (after_request(interim), Why.TIMED_OUT),
    "ten megabytes": (after_request(lambda c: c.send(http(TEN_MEGABYTES))), Why.TOO_LONG),
    "gzip bomb": (
        after_request(lambda c: c.send(http(BOMB, headers="Content-Encoding: gzip\r\n"))),
        Why.TOO_LONG,
    ),
    "unknown encoding": (
        after_request(lambda c: c.send(http(ACCEPTED, headers="Content-Encoding: br\r\n"))),
        Why.BAD_ENCODING,
    ),
    "gateway page": (
        after_request(lambda c: c.send(http(b"<html>", status="502 Bad Gateway"))),
        Why.NOT_JSON,
    ),
}


@pytest.mark.parametrize(("script", "why"), IN_DOUBT.values(), ids=IN_DOUBT.keys())
def test_a_failure_after_sending_is_unknown_and_is_not_resent(
    make_client: MakeClient, script: Callable[[Conversation], None], why: Why
) -> None:
    with RawServer(script) as server:
        began = time.monotonic()
        answer = make_client(server.url).create_task(PROMPT)
        took = time.monotonic() - began
    assert isinstance(answer, Unknown)
    assert answer.why is why, answer
    assert server.connections == 1
    assert len(server.requests) <= 1
    assert took < QUICK.total + 0.5


def test_an_immediate_reset_leads_to_at_most_one_request(make_client: MakeClient) -> None:
    # Timing decides whether the reset comes while the connection is still being made.
    with RawServer(Conversation.reset) as server:
        answer = make_client(server.url).create_task(PROMPT)
    assert isinstance(answer, Unknown) or (answer.cause is Cause.NOT_CONNECTED and not server.requests)  # type: ignore[union-attr]
    assert server.connections == 1


def test_a_compressed_answer_is_decoded(make_client: MakeClient) -> None:
    packed = http(gzip.compress(ACCEPTED), headers="Content-Encoding: gzip\r\n")
    with RawServer(always(packed)) as server:
        assert make_client(server.url).create_task(PROMPT) == Accepted(TASK)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed_and_names_its_target(make_client: MakeClient, status: int) -> None:
    with RawServer(always(http(ACCEPTED))) as elsewhere:
        target = f"{elsewhere.url}/x"
        redirect = http(b"", status=f"{status} Moved", headers=f"Location: {target}?k={KEY}\r\n")
        with RawServer(always(redirect)) as server:
            answer = make_client(server.url).create_task(PROMPT)
    assert answer == Refused(Cause.GATEWAY, None, status, f"redirect to {target}")
    assert (len(server.requests), elsewhere.connections) == (1, 0)


def test_a_redirect_to_nowhere_is_a_redirect(make_client: MakeClient) -> None:
    with RawServer(always(http(b"", status="307 x", headers="Location: http://a:b/\r\n"))) as server:
        answer = make_client(server.url).create_task(PROMPT)
    assert answer == Refused(Cause.GATEWAY, None, 307, "redirect to http://a:b/")


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n" + ACCEPTED, Why.BROKEN_OFF),
        (http(ACCEPTED + b" " * 200_000), Why.TOO_LONG),
        (
            http(gzip.compress(ACCEPTED)[:-4], headers="Content-Encoding: gzip\r\n"),
            Why.BAD_ENCODING,
        ),
    ],
)
def test_the_id_in_a_part_of_a_body_is_kept(make_client: MakeClient, answer: bytes, why: Why) -> None:
    def break_off(conversation: Conversation) -> None:
        conversation.receive()
        conversation.send(answer)

    with RawServer(break_off) as server:
        read = make_client(server.url).create_task(PROMPT)
    assert isinstance(read, Unknown)
    assert (read.why, read.task_ids) == (why, (TASK,))


def test_the_token_of_the_callback_url_is_hidden_wherever_an_answer_quotes_it(
    make_client: MakeClient,
) -> None:
    token = "0aZ-9yX_8wV7uT6sR5qP4oN3mL2k"
    message = f"bad URL https://h/callbacks/7/{token[:9]} or token {token.upper()}"
    with RawServer(always(http(json.dumps({"code": 422, "msg": message}).encode()))) as server:
        answer = make_client(server.url).create_task(PROMPT, f"https://h/callbacks/7/{token}")
    assert answer == Refused(Cause.BAD_REQUEST, 422, 200, "bad URL https://h/callbacks/*** or token ***")


def test_a_refusal_received_while_sending_is_read(make_client: MakeClient) -> None:
    def refuse_early(conversation: Conversation) -> None:
        conversation.send(http(b'{"code":429,"msg":"slow"}', headers="Connection: close\r\n"))
        conversation.receive()

    with RawServer(refuse_early) as server:
        answer = make_client(server.url).create_task(PROMPT)
    assert isinstance(answer, Refused)
    assert answer.cause is Cause.RATE_LIMITED


def test_an_idle_connection_closed_by_the_server_is_replaced_before_sending(
    make_client: MakeClient,
) -> None:
    closed = threading.Event()

    def once(conversation: Conversation) -> None:
        conversation.receive()
        conversation.send(http(ACCEPTED))
        conversation.socket.shutdown(socket.SHUT_RDWR)
        closed.set()

    with RawServer(once) as server:
        client = make_client(server.url)
        assert client.create_task(PROMPT) == Accepted(TASK)
        assert closed.wait(5)
        assert client.create_task(PROMPT) == Accepted(TASK)
    assert (server.connections, len(server.requests)) == (2, 2)


@pytest.mark.parametrize("end", [Conversation.reset, lambda _: None], ids=["reset", "hung up"])
def test_a_reused_connection_closed_during_the_request_is_unknown_and_not_resent(
    make_client: MakeClient, end: Callable[[Conversation], None]
) -> None:
    def once(conversation: Conversation) -> None:
        conversation.receive()
        conversation.send(http(ACCEPTED))
        conversation.receive()
        end(conversation)

    with RawServer(once) as server:
        client = make_client(server.url)
        assert client.create_task(PROMPT) == Accepted(TASK)
        answer = client.create_task(PROMPT)
    assert isinstance(answer, Unknown)
    assert answer.why is Why.BROKEN_OFF
    assert (server.connections, len(server.requests)) == (1, 2)


def test_a_surplus_answer_is_not_used_for_the_next_request(make_client: MakeClient) -> None:
    surplus = http(ACCEPTED.replace(TASK.encode(), b"somebody-elses"))

    def twice(conversation: Conversation) -> None:
        conversation.receive()
        conversation.send(http(ACCEPTED) + surplus)
        conversation.wait()

    turns = iter([twice, always(http(ACCEPTED))])
    with RawServer(lambda conversation: next(turns)(conversation)) as server:
        client = make_client(server.url)
        answers = [client.create_task(PROMPT) for _ in range(3)]
    assert answers[0] == answers[2] == Accepted(TASK)
    assert isinstance(answers[1], Unknown)
    assert answers[1].why is Why.BROKEN_OFF


def test_a_client_recovers_from_each_kind_of_failure(make_client: MakeClient) -> None:
    turns = iter([Conversation.reset, always(HALF[:30]), always(http(TEN_MEGABYTES)), always(http(ACCEPTED))])
    with RawServer(lambda conversation: next(turns)(conversation)) as server:
        client = make_client(server.url)
        answers = [client.create_task(PROMPT) for _ in range(4)]
    assert answers[-1] == Accepted(TASK)
    assert not any(isinstance(answer, Accepted) for answer in answers[:-1])
