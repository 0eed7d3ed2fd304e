"""The provider's callbacks: one POST when a task ends, signed if a key is set, and retried if it fails.

A time-out of 15 s, one delivery and three retries, no redirects (contract 3.3). The spacing of the retries is
not published.
"""

import asyncio
import base64
import hashlib
import hmac
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

import httpx

from sandbox.kie.faults.callback_ids import CALLBACK_IDS
from sandbox.kie.faults.faults import Fault
from sandbox.kie.faults.variants import variant_of
from sandbox.kie.faults.wire import encoded
from sandbox.kie.options import ProviderOptions
from sandbox.kie.tasks.ledger import KieTask
from sandbox.kie.tasks.records import callback

__all__ = ["Courier", "signature"]

AT_ONCE: Final = 12
"""The most concurrent callbacks.

httpcore scans all its connections for each request, so that many of them slow down every request.
"""
WRONG_IDS: Final = 4
FORGED_RESULT = json.dumps({"resultUrls": ["https://forged.invalid/image.png"]})


def signature(key: str, task_id: str, timestamp: int) -> str:
    """``X-Webhook-Signature``: base64 of HMAC-SHA256 over ``taskId.timestamp``, and over nothing else."""
    signed = hmac.new(key.encode(), f"{task_id}.{timestamp}".encode(), hashlib.sha256)
    return base64.b64encode(signed.digest()).decode()


class Courier:
    """Delivers callbacks, each in its own asyncio task, which lasts until the delivery has ended."""

    def __init__(self, options: ProviderOptions, base_url: str, now: Callable[[], float]) -> None:
        self._options = options
        self._base_url = base_url
        self._now = now
        self._errands: set[asyncio.Task[None]] = set()
        # The semaphore is first come, first served, and waiting costs no CPU. The client's pool is neither
        # when hundreds wait.
        self._turn = asyncio.Semaphore(AT_ONCE)
        self._client = httpx.AsyncClient(
            timeout=options.callback_timeout,
            follow_redirects=False,
            trust_env=False,
            limits=httpx.Limits(max_connections=AT_ONCE, max_keepalive_connections=AT_ONCE),
        )

    def expect(self, task: KieTask) -> None:
        """Schedule the delivery for the task's end, or for the time that its fate chooses."""
        if task.callback_url is None or task.fate.keys() & {Fault.CALLBACK_LOST, Fault.STUCK}:
            return
        errand = asyncio.create_task(self._deliver_in_time(task))
        self._errands.add(errand)
        errand.add_done_callback(self._errands.discard)

    async def deliver(self, task: KieTask) -> None:
        """Send the callback now, and retry until the receiver answers 200 or the retries are used up."""
        if Fault.CALLBACK_WRONG_IDS in task.fate and not task.deliveries:
            await self._pose(task)
        wait = self._options.callback_spacing / self._options.speed
        for _ in range(self._options.callback_retries + 1):
            if await self._post(task) == httpx.codes.OK:
                return
            await asyncio.sleep(wait)
            wait *= 2

    async def forget(self) -> None:
        """Cancel all pending deliveries."""
        for errand in list(self._errands):
            errand.cancel()
        await asyncio.gather(*self._errands, return_exceptions=True)

    async def close(self) -> None:
        await self.forget()
        await self._client.aclose()

    async def _deliver_in_time(self, task: KieTask) -> None:
        if Fault.CALLBACK_EARLY in task.fate:
            return  # delivered before the createTask answer
        until_end = task.finish_ms / 1000 - self._now()
        if Fault.CALLBACK_BEFORE_TERMINAL in task.fate:
            until_end /= 2
        if late := task.fate.get(Fault.CALLBACK_LATE):
            until_end += late.seconds
        await asyncio.sleep(until_end)
        await self.deliver(task)
        if Fault.CALLBACK_DUPLICATE in task.fate:
            await self.deliver(task)

    async def _post(self, task: KieTask) -> int:
        if task.callback_url is None:
            return httpx.codes.OK
        status = await self._send(task.callback_url, self._body(task), self._headers(task))
        task.deliveries.append({"at_ms": int(self._now() * 1000), "status": status})
        return status

    async def _pose(self, task: KieTask) -> None:
        """Post invented ids, as somebody does who saw the callback's URL and does not know the HMAC key."""
        for number in range(WRONG_IDS if task.callback_url else 0):
            invented = replace(task, id=hashlib.sha256(f"{task.id}/{number}".encode()).hexdigest()[:32])
            headers = {"Content-Type": "application/json"}
            status = await self._send(task.callback_url or "", self._body(invented), headers)
            answer = {"at_ms": int(self._now() * 1000), "status": status, "invented": invented.id}
            task.deliveries.append(answer)

    async def _send(self, url: str, body: bytes, headers: dict[str, str]) -> int:
        """The status of the receiver's answer; 0 for no answer."""
        try:
            async with self._turn:
                return (await self._client.post(url, content=body, headers=headers)).status_code
        except (httpx.HTTPError, httpx.InvalidURL):
            return 0

    def _body(self, task: KieTask) -> bytes:
        body: dict[str, Any] = callback(task, self._base_url, self._options.cost_time)
        if Fault.CALLBACK_TAMPERED in task.fate:
            body["data"].update(state="success", resultJson=FORGED_RESULT)
        if rule := task.fate.get(Fault.CALLBACK_TASK_ID):
            body = CALLBACK_IDS[variant_of(Fault.CALLBACK_TASK_ID, rule.variant)](body)
        return encoded(body)

    def _headers(self, task: KieTask) -> dict[str, str]:
        headers = {"Content-Type": "application/json"}
        if self._options.hmac_key and Fault.CALLBACK_UNSIGNED not in task.fate:
            timestamp = int(self._now())
            key = "another-key" if Fault.CALLBACK_BAD_SIGNATURE in task.fate else self._options.hmac_key
            headers["X-Webhook-Timestamp"] = str(timestamp)
            headers["X-Webhook-Signature"] = signature(key, task.id, timestamp)
        return headers
