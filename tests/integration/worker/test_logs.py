"""The log of real processes: whatever a library says in it, it has no secret."""

import os
import subprocess
import sys
from pathlib import Path

from sandbox.local.fleet import CHECKOUT

KEY, HOOK_KEY, PASSWORD, TOKEN = (
    "sk-live-4f0c9a5be1d24772a86b",
    "whsec-4f0c9a5be1d24772a86b",
    "password-of-redis",
    "n0t-4_secret-of-the-attempt",
)
PROGRAM = f"""
import logging, sys, threading
from worker.main import app
app.log.setup(loglevel=logging.DEBUG, redirect_stdouts=True, redirect_level="WARNING")
late = logging.StreamHandler()
logging.getLogger("added.later").addHandler(late)
for name in ("", "celery", "celery.task", "httpx", "httpcore.http11", "redis", "kombu", "added.later"):
    for level in (10, 20, 30, 40, 50):
        logging.getLogger(name).log(level, "says %s of %r", name, {{"Authorization": "Bearer {KEY}"}})
print("printed {HOOK_KEY}")
logging.getLogger("added").error("field", extra={{"data": "{KEY}"}})
try:
    raise ValueError("redis://user:{PASSWORD}@127.0.0.1:1/0")
except ValueError:
    logging.getLogger("tasks.create_task").exception("https://h.example/callbacks/job-7/{TOKEN}")
logging.shutdown()
"""


def environment() -> dict[str, str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("LIMNER_")}
    return {
        **inherited,
        "PYTHONPATH": str(CHECKOUT),
        "LIMNER_REDIS_URL": f"redis://user:{PASSWORD}@127.0.0.1:1/0",
        "LIMNER_API_KEY": KEY,
        "LIMNER_CALLBACK_HMAC_KEY": HOOK_KEY,
    }


def test_a_worker_s_log_has_no_secret_of_any_library_at_any_level(tmp_path: Path) -> None:
    run = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env=environment(),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    told = run.stdout + run.stderr
    assert run.returncode == 0, told
    assert "says httpcore.http11 of {'Authorization': 'Bearer ***'}" in told
    assert "printed ***" in told
    assert "redis://user:***@127.0.0.1:1/0" in told
    assert "/callbacks/…" in told
    assert not any(secret in told for secret in (KEY, HOOK_KEY, PASSWORD, TOKEN))
