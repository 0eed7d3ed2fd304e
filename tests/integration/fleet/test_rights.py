"""Users of Redis with few rights: the lines of docs/operations.md, and what a fleet can do without."""

import re
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import pytest
import redis

from limner import Limner
from limner.ledger.layout.keys import CALLBACKS
from sandbox.local.fleet import LocalFleet
from sandbox.local.valkey import EmbeddedValkey
from sandbox.processes.checkout import with_checkout
from tests.conftest import eventually
from tests.integration.fleet.conftest import ROOMY, plain_celery, quick_provider
from tests.repository import ROOT

WAIT: Final = 60.0
PAGE: Final = ROOT / "docs" / "operations.md"
LINE: Final = re.compile(r"^user limner-(\w+) on >(\w+) (.+)$", re.MULTILINE)
SCHEDULE: Final = '[fox]\nevery = 2\n[fox.request]\nprompt = "a fox"\n'
ROLES: Final = ("worker", "receiver", "beat", "producer", "cli")


@pytest.fixture
def valkey() -> Iterator[EmbeddedValkey]:
    with EmbeddedValkey() as server:
        yield server


@pytest.fixture
def admin(valkey: EmbeddedValkey) -> Iterator[Any]:
    with redis.Redis.from_url(valkey.url, decode_responses=True) as client:
        yield client


def rules_of_the_page() -> dict[str, str]:
    return {name: rules for name, _, rules in LINE.findall(PAGE.read_text())}


def as_users(admin: Any, url: str, rules: Mapping[str, str]) -> dict[str, str]:
    """The URL of each user, with these rights."""
    for name, rights in rules.items():
        admin.execute_command("ACL", "SETUSER", name, "reset", "on", ">pw", *rights.split())
    return {name: re.sub(r"//[^@/]*@", f"//{name}:pw@", url) for name in rules}


def denied(admin: Any) -> set[tuple[str, str]]:
    """The users and what they were denied, but for redis-py's name of itself, which it asks for in vain."""
    entries = [
        entry if isinstance(entry, dict) else dict(zip(entry[::2], entry[1::2], strict=True))
        for entry in admin.execute_command("ACL", "LOG")
    ]
    return {(e["username"], e["object"]) for e in entries if e["object"] != "client|setinfo"}


def test_the_rights_of_the_page_are_enough(valkey: EmbeddedValkey, admin: Any, tmp_path: Path) -> None:
    rules = rules_of_the_page()
    assert sorted(rules) == sorted(ROLES)
    urls = as_users(admin, valkey.url, rules)
    (tmp_path / "schedule.toml").write_text(SCHEDULE)
    roles = {
        "LIMNER_SCHEDULE_FILE": str(tmp_path / "schedule.toml"),
        **ROOMY,
    }
    with (
        LocalFleet(
            settings={**roles, "LIMNER_REDIS_URL": urls["worker"]}, provider=quick_provider()
        ) as fleet,
        LocalFleet(
            settings={**roles, "LIMNER_REDIS_URL": urls["beat"], "LIMNER_API_KEY": "unused"},
            workers=0,
            beat=True,
        ) as beat,
        LocalFleet(
            settings={**roles, "LIMNER_REDIS_URL": urls["receiver"], "LIMNER_API_KEY": "unused"},
            workers=0,
            callbacks=True,
        ) as receiver,
    ):
        calling = {"LIMNER_CALLBACK_URL": receiver.environment["LIMNER_CALLBACK_URL"]}
        fleet.kill_worker(0)
        worker = fleet.start_worker(settings=calling)
        with Limner(urls["producer"]) as limner:
            jobs = [limner.submit("a boat"), *limner.submit_many(["a gull", "a crab"])]
            for job in jobs:
                assert job.result(WAIT).urls
            assert jobs[0].log()
            limner.submit("a whale").cancel()
        with plain_celery(urls["producer"]) as app:
            sent = app.send_task("limner.create_task", kwargs={"prompt": "a cat"}, queue="limner")
            assert sent.get(timeout=WAIT)["urls"]
        for command in (
            ["status", jobs[0].id],
            ["explain", jobs[0].id],
            ["quota"],
            ["spend"],
            ["check"],
            ["doubts"],
        ):
            told = subprocess.run(
                [sys.executable, "-m", "limner", *command],
                env=with_checkout({"LIMNER_REDIS_URL": urls["cli"], "PATH": ""}),
                capture_output=True,
                text=True,
                timeout=60,
                check=False,
            )
            assert told.returncode == 0, told.stderr
        assert beat.beat
        eventually(lambda: "is job" in beat.beat.log.read_text())  # type: ignore[union-attr]
        eventually(lambda: admin.hgetall(CALLBACKS("limner:{main}:")))
        assert "ERROR" not in worker.log.read_text()
    assert denied(admin) == set()


def test_a_worker_may_use_every_command_of_the_scripts() -> None:
    scripts = (ROOT / "limner" / "ledger" / "lua").rglob("*.lua")
    called = {
        name.lower()
        for path in scripts
        for name in re.findall(r"redis\.p?call\('([A-Z]+)'", path.read_text())
    }
    allowed = {word[1:] for word in rules_of_the_page()["worker"].split() if word.startswith("+")}
    assert called
    assert called <= allowed


@pytest.mark.parametrize("right", ["publish", "info", "config", "client", "xadd", "rpush"])
def test_a_fleet_does_without_what_only_helps(valkey: EmbeddedValkey, admin: Any, right: str) -> None:
    urls = as_users(admin, valkey.url, {"worker": f"~* &* +@all -{right}"})
    settings = {**ROOMY, "LIMNER_REDIS_URL": urls["worker"]}
    with LocalFleet(settings=settings, provider=quick_provider()) as fleet, Limner(urls["worker"]) as limner:
        began = time.monotonic()
        assert limner.submit("a boat").result(WAIT).urls
        assert time.monotonic() - began < WAIT / 2
        fleet.check()
