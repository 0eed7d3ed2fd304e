"""The names of everything that a fleet keeps in Redis, as the server sees them."""

import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import redis

from limner import Limner
from sandbox.local.fleet import CHECKOUT, LocalFleet
from sandbox.local.valkey import EmbeddedValkey
from tests.conftest import eventually
from tests.integration.fleet.conftest import ROOMY, plain_celery, quick_provider

WAIT: Final = 60.0
LAST: Final = "the-last-command"
CHANNELS: Final = frozenset({"SUBSCRIBE", "PSUBSCRIBE", "PUBLISH", "UNSUBSCRIBE", "PUNSUBSCRIBE"})


@contextmanager
def monitored(url: str) -> Iterator[list[str]]:
    """The commands that clients send meanwhile; those of scripts are on keys that the script was given."""
    seen: list[str] = []
    ready = threading.Event()

    def listen() -> None:
        # By default, redis-py waits for five seconds for the next command.
        client: Any = redis.Redis.from_url(url, decode_responses=True, socket_timeout=WAIT)
        with client, client.monitor() as monitor:
            ready.set()
            for command in monitor.listen():
                if LAST in command["command"]:
                    return
                if command["client_type"] != "lua":
                    seen.append(command["command"])

    thread = threading.Thread(target=listen, daemon=True)
    thread.start()
    assert ready.wait(WAIT)
    yield seen
    with redis.Redis.from_url(url) as client:
        client.echo(LAST)
    thread.join(WAIT)
    assert not thread.is_alive()


def names_in(client: Any, commands: list[str]) -> set[str]:
    """The keys and channels of these commands."""
    names: set[str] = set()
    for command in commands:
        words = command.split(" ")
        verb = words[0].upper()
        if verb in CHANNELS:
            names |= set(words[1:2] if verb == "PUBLISH" else words[1:])
            continue
        try:
            names |= set(client.execute_command("COMMAND GETKEYS", *words))
        except redis.ResponseError:
            # A command without keys, or one whose arguments have blanks and were split.
            continue
    return names


def of_somebody_else(name: str, prefix: str, job_ids: set[str]) -> bool:
    """True for a name that neither has the prefix nor is that of a job's result, which Celery chooses.

    The queues of remote control begin with the worker's name, and contain ours.
    """
    if prefix in re.split(r"[.:/]|\\x06", name):
        return False
    return name.removeprefix("celery-task-meta-") not in job_ids


def talkative_worker(fleet: LocalFleet) -> "subprocess.Popen[bytes]":
    """A worker with gossip, mingle, heartbeats and events, as one without options has."""
    return subprocess.Popen(
        [sys.executable, "-m", "celery", "-A", "worker", "worker", "-E", "-n", "talkative@%h"],
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(CHECKOUT), **fleet.environment},
        cwd=fleet.log_dir,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def bindings(url: str) -> bytes:
    """The queues of remote control, as kombu lists them."""
    with redis.Redis.from_url(url) as client:
        return b" ".join(client.smembers("shop.kombu.binding.shop.control.pidbox"))


def test_nothing_of_a_fleet_is_without_its_prefix() -> None:
    settings = {**ROOMY, "LIMNER_PREFIX": "shop", "LIMNER_REMOTE_CONTROL": "true"}
    with (
        EmbeddedValkey() as valkey,
        redis.Redis.from_url(valkey.url, decode_responses=True) as client,
        Limner(valkey.url, prefix="shop") as limner,
        monitored(valkey.url) as commands,
    ):
        settings["LIMNER_REDIS_URL"] = valkey.url
        with LocalFleet(settings=settings, provider=quick_provider(), callbacks=True, beat=True) as fleet:
            worker = talkative_worker(fleet)
            try:
                eventually(lambda: b"talkative" in bindings(valkey.url), within=WAIT)
                jobs = limner.submit_many(f"kite {number}" for number in range(20))
                jobs[0].cancel()
                app = plain_celery(fleet.redis_url)
                plain: Any = app.send_task("limner.create_task", kwargs={"prompt": "plainly"}, queue="shop")
                assert plain.get(timeout=WAIT)["urls"]
                for job in jobs[1:]:
                    assert job.result(WAIT).urls
            finally:
                worker.terminate()
                assert worker.wait(WAIT) == 0
        known = {plain.id, *(job.id for job in jobs)}
        names = names_in(client, list(commands))
    assert {name for name in names if of_somebody_else(name, "shop", known)} == set()
    assert {"shop", "shop.steps", "shop.unacked_mutex", "shop:{main}:"} <= names


def test_two_fleets_share_a_server_and_no_job() -> None:
    with (
        EmbeddedValkey() as valkey,
        LocalFleet(settings={**ROOMY, "LIMNER_REDIS_URL": valkey.url}, provider=quick_provider()) as first,
        LocalFleet(
            settings={**ROOMY, "LIMNER_REDIS_URL": valkey.url, "LIMNER_PREFIX": "shop"},
            provider=quick_provider(),
        ) as second,
    ):
        app = plain_celery(valkey.url)
        for name in ("limner", "shop"):
            with Limner(valkey.url, prefix=name) as limner:
                for job in limner.submit_many([name] * 10):
                    assert job.result(WAIT).urls
            sent: Any = app.send_task("limner.create_task", kwargs={"prompt": name}, queue=name)
            assert sent.get(timeout=WAIT)["urls"]
        for fleet, name in ((first, "limner"), (second, "shop")):
            assert fleet.provider
            assert [task["input"]["prompt"] for task in fleet.provider.ledger()] == [name] * 11
