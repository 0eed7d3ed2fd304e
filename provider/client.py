"""The one HTTP client of a worker process."""

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Final, Self
from urllib.parse import quote

import httpcore
from pydantic import SecretStr

from limner.errors import LimnerError
from limner.models import TextToImage
from provider.answers import Accepted, Cause, CreateAnswer, RecordAnswer, Refused, Unknown, Unreadable, Why
from provider.body import UnusableBody, decode_part, read_body
from provider.deadline import NotSent
from provider.endpoint import checked_api_key, checked_api_url, environment_proxy, tls_context
from provider.envelope import clean
from provider.messages import Requests, read_headers, read_location
from provider.reading import read_create, read_credits, read_download, read_record
from provider.redaction import Redactor
from provider.task_ids import candidates
from provider.transport import Transport
from provider.wire import create_body, encode

CREATE_PATH: Final = "/api/v1/jobs/createTask"
RECORD_PATH: Final = "/api/v1/jobs/recordInfo"
CREDIT_PATH: Final = "/api/v1/chat/credit"
DOWNLOAD_PATH: Final = "/api/v1/common/download-url"

# Verified on raw sockets in tests/integration/provider: in all of these no byte of the request went out.
_WITHDRAWN: Final = (
    NotSent,
    # The client was closed after the connection was chosen and before it was used.
    httpcore.ConnectionNotAvailable,
)
_NEVER_SENT: Final = (httpcore.ConnectError, httpcore.ConnectTimeout, httpcore.ProxyError)
_BROKEN: Final = (
    httpcore.TimeoutException,
    httpcore.NetworkError,
    httpcore.ProtocolError,
    OSError,
)


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Limits in seconds: for each single operation, and in total for the request and its answer.

    A createTask takes 0.4 to 0.8 s, a recordInfo 0.2 to 0.4 s (contract 1.2). Waiting longer is cheap
    compared with a job in doubt. A step's lease must be longer than ``total``.
    """

    connect: float = 5.0
    read: float = 30.0
    write: float = 10.0
    total: float = 45.0


DEFAULT_TIMEOUTS: Final = Timeouts()


class ProviderError(LimnerError):
    """The provider did not answer a question about the account; ``answer`` is what it sent instead.

    ``location`` is the destination of a redirect, without user, query and fragment; otherwise "".
    """

    def __init__(self, message: str, answer: Unreadable, location: str = "") -> None:
        super().__init__(message, answer, location)
        self.answer = answer
        self.location = location

    def __str__(self) -> str:
        return str(self.args[0])


@dataclass(frozen=True, slots=True)
class _Answer:
    http_status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class _NoAnswer:
    why: Why
    http_status: int | None
    message: str
    part: bytes = b""
    """The part of the body that came."""


class KieClient:
    """A client of kie.ai's job API. It is thread-safe, and never sends a request twice.

    Each exchange uses a connection that no other exchange uses at the same time.

    Redirects are not followed and cookies are not kept: httpcore, which sends the requests, supports neither
    (the provider sets a JSESSIONID with every answer, contract 1.2). The client reads the proxy variables,
    ``SSL_CERT_FILE`` and ``SSL_CERT_DIR`` from the environment when it is made, since a fleet behind a
    firewall needs them. A ``.netrc`` does not replace the key.

    Raises :class:`limner.errors.ConfigurationError`, which names the setting, for an unusable URL or key.
    """

    def __init__(
        self,
        api_url: str,
        api_key: SecretStr,
        timeouts: Timeouts = DEFAULT_TIMEOUTS,
        *,
        user_agent: str = "limner",
        max_body_bytes: int = 1_000_000,
    ) -> None:
        self._api_url = checked_api_url(api_url)
        self._api_key = SecretStr(checked_api_key(api_key))
        self._redactor = Redactor([self._api_key.get_secret_value()])
        self._total = timeouts.total
        self._max_body_bytes = max_body_bytes
        limits = {"connect": timeouts.connect, "read": timeouts.read, "write": timeouts.write}
        self._requests = Requests(self._api_url, self._api_key, user_agent, limits)
        self._transport = Transport(self._requests.origin, tls_context(), environment_proxy(self._api_url))

    def __repr__(self) -> str:
        return f"KieClient({self._api_url!r})"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections of all threads. Later requests are not sent."""
        self._transport.close()

    def create_task(
        self,
        request: TextToImage,
        callback_url: str | None = None,
        *,
        may_send: Callable[[], bool] | None = None,
    ) -> CreateAnswer:
        """Ask for images with one POST, which is sent at most once.

        Right before the request goes out, ``may_send`` is asked. If it says no, nothing is sent, and the
        answer is Refused for NOT_SENT.
        """
        content = encode(create_body(request, callback_url))
        answer = self._ask(self._requests.post(CREATE_PATH, content), may_send)
        if isinstance(answer, _Answer):
            return _created(answer, request.prompt, callback_url or "")
        if answer.why is Why.NOT_CONNECTED:
            return Refused(Cause.NOT_CONNECTED, None, None, answer.message)
        if answer.why is Why.NOT_SENT:
            return Refused(Cause.NOT_SENT, None, None, answer.message)
        return Unknown(answer.why, None, answer.http_status, answer.message, candidates(answer.part))

    def record_info(self, task_id: str, *, may_send: Callable[[], bool] | None = None) -> RecordAnswer:
        """Read the state of a task; ``may_send`` as for :meth:`create_task`.

        If it says no, the answer is Unreadable for NOT_SENT.
        """
        request = self._requests.get(f"{RECORD_PATH}?taskId={quote(task_id, safe='')}")
        answer = self._ask(request, may_send)
        if isinstance(answer, _Answer):
            return read_record(
                answer.http_status, answer.headers, answer.body, task_id=task_id, api_url=self._api_url
            )
        return _unread(answer)

    def credits(self) -> Decimal:
        """The account's balance in credits. Raises :class:`ProviderError`.

        The call checks the URL and the key; it proves nothing about generation (contract 1.4).
        """
        answer = self._ask(self._requests.get(CREDIT_PATH))
        location = ""
        if isinstance(answer, _Answer):
            balance = read_credits(answer.http_status, answer.headers, answer.body)
            location = read_location(answer.http_status, answer.headers)
        else:
            balance = _unread(answer)
        if isinstance(balance, Decimal):
            return balance
        raise self._no("balance", balance, location)

    def download_url(self, url: str) -> str:
        """Another link to one of the provider's own files, valid for 20 minutes (contract 4).

        Raises :class:`ProviderError`.
        """
        answer = self._ask(self._requests.post(DOWNLOAD_PATH, encode({"url": url})))
        if isinstance(answer, _Answer):
            link = read_download(answer.http_status, answer.headers, answer.body, api_url=self._api_url)
        else:
            link = _unread(answer)
        if isinstance(link, str):
            return link
        raise self._no("link", link)

    def _no(self, what: str, answer: Unreadable, location: str = "") -> ProviderError:
        cause = answer.cause.value if answer.cause else answer.why.value
        return ProviderError(
            f"no {what} from {self._api_url}: {cause} {answer.message}".rstrip(), answer, location
        )

    def _ask(
        self, request: httpcore.Request, may_send: Callable[[], bool] | None = None
    ) -> _Answer | _NoAnswer:
        status: int | None = None
        encoding = ""
        received: list[bytes] = []

        def no_answer(why: Why, error: Exception) -> _NoAnswer:
            part = decode_part(b"".join(received), encoding, self._max_body_bytes)
            return _NoAnswer(why, status, self._describe(error), self._redactor.body(part))

        try:
            with self._transport.send(request, time.monotonic() + self._total, may_send) as response:
                status = response.status
                headers = self._readable(response.headers)
                encoding = headers.get("content-encoding", "")
                body = read_body(response, encoding, self._max_body_bytes, received)
            return _Answer(status, headers, self._redactor.body(body))
        except _WITHDRAWN as error:
            return no_answer(Why.NOT_SENT, error)
        except _NEVER_SENT as error:
            return no_answer(Why.NOT_CONNECTED, error)
        except UnusableBody as error:
            return no_answer(error.why, error)
        except _BROKEN as error:
            timed_out = isinstance(error, httpcore.TimeoutException)
            return no_answer(Why.TIMED_OUT if timed_out else Why.BROKEN_OFF, error)

    def _readable(self, raw: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
        headers = read_headers(raw)
        # Of all headers, only this one is shown to people.
        if "location" in headers:
            headers["location"] = self._redactor.text(headers["location"])
        return headers

    def _describe(self, error: Exception) -> str:
        return clean(self._redactor.text(f"{type(error).__name__}: {error}"))


def _created(answer: _Answer, prompt: str, callback_url: str) -> CreateAnswer:
    read = read_create(answer.http_status, answer.headers, answer.body, prompt=prompt)
    if isinstance(read, Accepted):
        return read
    # The text may quote the callback URL's token by itself, and is read again without it.
    body = Redactor([callback_url.rpartition("/")[2]]).body(answer.body)
    return read_create(answer.http_status, answer.headers, body, prompt=prompt)


def _unread(answer: _NoAnswer) -> Unreadable:
    cause = Cause.NOT_CONNECTED if answer.why is Why.NOT_CONNECTED else None
    return Unreadable(answer.why, None, answer.http_status, answer.message, cause)
