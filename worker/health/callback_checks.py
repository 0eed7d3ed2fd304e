"""The way of the provider's callbacks, tried with one of our own."""

import ipaddress
import json
import secrets
import time
from collections.abc import Iterator, Mapping
from typing import Any, Final
from urllib.parse import urlsplit

import httpx
from pydantic import SecretStr

from config import Settings
from limner.callbacks.refusal import Refusal
from limner.callbacks.signature import SIGNATURE, TIMESTAMP, signature
from limner.ledger import Ledger
from worker.health.faults import quoted
from worker.health.findings import Finding, fail, ok, warn

CHECK: Final = "callbacks"
SETTING: Final = "LIMNER_CALLBACK_URL"
PATIENCE: Final = 10.0
_LEAD: Final = "lead that address to a receiver (uvicorn worker.callbacks:app)"


def check_callbacks(settings: Settings, ledger: Ledger) -> Iterator[Finding]:
    """Post a callback for no job to the public URL, and look for it in the ledger, which forgets it again.

    Raises StoreUnavailable.
    """
    if not settings.callback_url:
        yield ok(CHECK, f"{SETTING} is not set: results are learned by polls")
        return
    job_id = f"doctor-{secrets.token_hex(8)}"
    before = ledger.journal.callback_counts()
    try:
        answer = _post(settings, job_id)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        found = (
            f"{settings.callback_url} cannot be reached from here{quoted(str(error) or type(error).__name__)}"
        )
        yield fail(CHECK, f"{SETTING}: {found}", _LEAD)
        return
    arrived = ledger.journal.drop_unmatched(job_id)
    after = ledger.journal.callback_counts()
    unsigned = after.get(Refusal.BAD_SIGNATURE, 0) > before.get(Refusal.BAD_SIGNATURE, 0)
    yield judged(settings, answer.status_code, answer.headers, answer.content, arrived, unsigned)


def _post(settings: Settings, job_id: str) -> httpx.Response:
    body = json.dumps({"code": 200, "data": {"taskId": job_id}})
    return httpx.post(
        f"{settings.callback_url}/callbacks/{job_id}/{secrets.token_hex(16)}",
        content=body,
        headers={"Content-Type": "application/json", **_signed(settings.callback_hmac_key, job_id)},
        timeout=PATIENCE,
    )


def _signed(key: SecretStr | None, task_id: str) -> dict[str, str]:
    if key is None:
        return {}
    now = str(int(time.time()))
    return {TIMESTAMP: now, SIGNATURE: signature(key, task_id, now).decode()}


def judged(
    settings: Settings, status: int, headers: Mapping[str, str], body: bytes, arrived: bool, unsigned: bool
) -> Finding:
    """The finding about an answer of the callback URL.

    ``arrived`` is true if the ledger had the callback, ``unsigned`` if it counted a bad signature meanwhile.
    """
    url = settings.callback_url
    if 300 <= status < 400:
        told = (
            f"{url} is redirected to {headers.get('location', 'nowhere').partition('?')[0]} (HTTP {status})"
        )
        return fail(CHECK, f"{SETTING}: {told}", "name the address that answers itself")
    if not _is_receiver(body):
        said = quoted(body[:2000].decode("utf-8", "replace"))
        return fail(CHECK, f"{SETTING}: no receiver answers at {url} (HTTP {status}){said}", _LEAD)
    if status == 503:
        return fail(CHECK, f"{SETTING}: the receiver at {url} does not reach its Redis", "see its log")
    if arrived:
        if _is_private(url) and not _is_private(settings.api_url):
            found = f"{SETTING}: {url} answers from here, and is an address of a private network"
            return warn(CHECK, found, "give the address at which the provider reaches it")
        return ok(CHECK, f"{url} takes callbacks")
    if unsigned:
        found = f"LIMNER_CALLBACK_HMAC_KEY: the receiver at {url} has another key"
        return fail(CHECK, found, "give the account's key to both")
    found = (
        f"{SETTING}: the receiver at {url} answered (HTTP {status}), and this ledger has no callback of it"
    )
    return fail(CHECK, found, "give the receiver this LIMNER_REDIS_URL and LIMNER_CALLBACK_HMAC_KEY")


def _is_receiver(body: bytes) -> bool:
    try:
        answer: Any = json.loads(body)
    except ValueError:
        return False
    return isinstance(answer, dict) and answer.keys() == {"code", "msg"}


def _is_private(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    try:
        return not ipaddress.ip_address(host).is_global
    except ValueError:
        return "." not in host or host.endswith((".local", ".internal", ".localhost"))
