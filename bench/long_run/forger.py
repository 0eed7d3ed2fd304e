"""An attacker who knows the receiver's address, and even its key, but no token."""

import json
import random
import threading
import time
from typing import Any, Final

import httpx

from bench.long_run.plan import HMAC_KEY
from sandbox.kie.callbacks import signature

__all__ = ["FORGED", "Forger"]

FORGED: Final = "f0f0f0f0"
"""The prefix of the forger's task ids."""
STALE: Final = 3600.0


class Forger(threading.Thread):
    """Posts forged callbacks, a few each second, until it is stopped."""

    def __init__(self, callback_url: str, seed: int, *, every: float = 0.2) -> None:
        super().__init__(name="forger", daemon=True)
        self._base = callback_url
        self._rng = random.Random(seed)
        self._every = every
        self._stopped = threading.Event()
        self.known: list[str] = []
        """Job ids that have leaked to the forger."""
        self.sent = 0

    def run(self) -> None:
        """Post until the thread is stopped, also while the receiver is down."""
        with httpx.Client(timeout=5, trust_env=False) as client:
            while not self._stopped.wait(self._every):
                try:
                    client.post(**self._forgery())
                except httpx.HTTPError:
                    continue
                self.sent += 1

    def stop(self) -> None:
        """End the thread."""
        self._stopped.set()
        self.join()

    def _forgery(self) -> dict[str, Any]:
        rng = self._rng
        task_id = FORGED + f"{rng.getrandbits(96):024x}"
        job_id = rng.choice(self.known) if self.known and rng.random() < 0.7 else f"{rng.getrandbits(64):x}"
        token = f"{rng.getrandbits(192):048x}"[: rng.choice([3, 32, 48])]
        timestamp = int(time.time() - rng.choice([0.0, 0.0, STALE]))
        body = json.dumps(
            {
                "code": 200,
                "data": {
                    "taskId": task_id,
                    "state": "success",
                    "resultJson": json.dumps({"resultUrls": [f"https://forged.invalid/{task_id}.png"]}),
                },
            }
        )
        headers = {
            "X-Webhook-Timestamp": str(timestamp),
            "X-Webhook-Signature": signature(rng.choice([HMAC_KEY, HMAC_KEY, "guessed"]), task_id, timestamp),
        }
        return {
            "url": f"{self._base}/callbacks/{job_id}/{token}",
            "content": rng.choice([body, body, body[: len(body) // 2], "[]", "\x00"]),
            "headers": headers if rng.random() < 0.8 else {},
        }
