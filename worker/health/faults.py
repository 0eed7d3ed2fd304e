"""The setting at fault when a balance cannot be read: a pure function of the provider's answer."""

import re
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

from provider import Cause, Trouble, Unreadable, Why

API_URL: Final = "LIMNER_API_URL"
CERTIFICATES: Final = "SSL_CERT_FILE"
UNAUTHORIZED: Final = Cause.UNAUTHORIZED.value

LONGEST_QUOTE: Final = 200

_NO_NAME: Final = ("name or service not known", "name resolution", "getaddrinfo", "nodename", "no address")
_OTHER_NAME: Final = ("hostname mismatch", "ip address mismatch", "not valid for")
_PAGES: Final = frozenset({Why.NOT_JSON, Why.NO_CODE, Why.TOO_LONG, Why.BAD_ENCODING})
_NO_ANSWER: Final = frozenset({Why.NOT_CONNECTED, Why.TIMED_OUT, Why.BROKEN_OFF})
_NO_PATH: Final = frozenset({404, 405, 410})


@dataclass(frozen=True, slots=True)
class Way:
    """The settings that lead to the provider: the URL, the names of the key's setting and the proxy's."""

    api_url: str
    key: str
    proxy: str | None = None

    @property
    def first_hop(self) -> str:
        """The setting that names the machine to which the connection is made."""
        return self.proxy or API_URL

    @property
    def host(self) -> str:
        """The host to which the connection is made, in words."""
        return f"the proxy of {self.proxy}" if self.proxy else str(urlsplit(self.api_url).hostname)


@dataclass(frozen=True, slots=True)
class Fault:
    """A balance that cannot be read. No text has a key, or credentials of a URL."""

    setting: str
    found: str
    advice: str
    cause: str | None
    """The cause with which the account is closed. None if its jobs can be sent all the same."""
    code: int | None = None
    http_status: int | None = None

    def __str__(self) -> str:
        return f"{self.setting}: {self.found}; {self.advice}"

    def error(self) -> dict[str, Any]:
        """The fault in the form of a refusal, as the ledger keeps it."""
        status = {"code": self.code, "http_status": self.http_status}
        return {"cause": self.cause, **status, "message": f"{self.setting}: {self.found}"}


def overdue(way: Way, seconds: float) -> Fault:
    """The fault of a way on which nothing happened in time."""
    found = f"{way.host} did not answer within {seconds:g} s"
    advice = "check that address, and the name server of this machine"
    return Fault(way.first_hop, found, advice, Trouble.UNREACHABLE)


def fault_of(answer: Unreadable, location: str, way: Way) -> Fault:
    """The fault that an answer to the question for the balance shows.

    ``location`` is the destination of a redirect, if the answer is one.
    """
    setting, found, advice, cause = _judged(answer, location, way)
    return Fault(setting, found, advice, cause, answer.code, answer.http_status)


_Judgement = tuple[str, str, str, str | None]


def _judged(answer: Unreadable, location: str, way: Way) -> _Judgement:
    status, said = answer.http_status or 0, quoted(answer.message)
    numbers = f"HTTP {status}" if answer.code in (None, status) else f"code {answer.code}"
    if answer.why in _NO_ANSWER or answer.cause is Cause.NOT_CONNECTED:
        return _no_answer(answer, way)
    if answer.cause is Cause.UNAUTHORIZED:
        return way.key, f"the provider refuses the key ({numbers}){said}", "give a valid key", UNAUTHORIZED
    if status == 407 and way.proxy:
        return way.proxy, f"the proxy asks for credentials ({numbers})", _PROXY_ADVICE, Trouble.GATEWAY
    if 300 <= status < 400:
        found = f"{way.api_url} is redirected to {location or 'nowhere'} ({numbers})"
        return (
            API_URL,
            found,
            "give the address that answers itself: no redirect is followed",
            Trouble.GATEWAY,
        )
    if status in _NO_PATH or (answer.code in _NO_PATH and answer.why is not Why.REFUSED):
        return API_URL, f"{way.api_url} has no such path ({numbers}){said}", _URL_ADVICE, Trouble.GATEWAY
    if answer.cause is Cause.GATEWAY or answer.why in _PAGES:
        found = f"{way.api_url} sends a page in place of the API's answer ({numbers}){said}"
        return API_URL, found, _URL_ADVICE, Trouble.GATEWAY
    if answer.cause is Cause.SERVER_FAULT or max(status, answer.code or 0) >= 500:
        return API_URL, f"the provider has a fault of its own ({numbers}){said}", _WAIT_ADVICE, Trouble.FAULTY
    found = f"the provider answers, and does not tell the balance ({numbers}){said}"
    return API_URL, found, "jobs are sent all the same", None


_URL_ADVICE: Final = "give the provider's address, such as https://api.kie.ai, or the prefix of a proxy"
_PROXY_ADVICE: Final = "check the proxy's address and credentials"
_WAIT_ADVICE: Final = "wait for the provider"


def _no_answer(answer: Unreadable, way: Way) -> _Judgement:
    text = answer.message.lower()
    said = quoted(answer.message.partition(": ")[2] or answer.message)
    trouble = Trouble.UNREACHABLE
    if answer.message.startswith("ProxyError"):
        return way.first_hop, f"the proxy refuses{said}", _PROXY_ADVICE, trouble
    if "certificate" in text:
        if any(words in text for words in _OTHER_NAME):
            return API_URL, f"the certificate is of another host{said}", "give the host's own name", trouble
        advice = "name a file with the certificates that your network or proxy uses"
        return CERTIFICATES, f"the certificate of {way.api_url} is not trusted{said}", advice, trouble
    if "ssl" in text or "tls" in text:
        found = f"{way.host} speaks no TLS that can be used{said}"
        return way.first_hop, found, "check https:// or http://, and the port", trouble
    if any(words in text for words in _NO_NAME):
        found = f"the name of {way.host} cannot be looked up{said}"
        return way.first_hop, found, "check the name, and the name server of this machine", trouble
    if answer.why is Why.NOT_CONNECTED:
        found = f"no connection to {way.host}{said}"
        return way.first_hop, found, "check host and port, and the firewall", trouble
    silent = answer.why is Why.TIMED_OUT
    found = f"{way.host} {'does not answer in time' if silent else 'breaks the exchange off'}{said}"
    return way.first_hop, found, "check https:// or http://, the port, and the firewall", trouble


def quoted(message: str) -> str:
    """The provider's words after a colon, without tags; "" if there are none."""
    text = " ".join(re.sub(r"<[^>]*>?", " ", message).split())[:LONGEST_QUOTE]
    return f": {text}" if text else ""
