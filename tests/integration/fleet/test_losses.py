"""A real worker whose Redis is emptied, or goes back to an older state."""

from pathlib import Path
from typing import Any

import redis

from limner import Limner
from sandbox.local.fleet import LocalFleet
from tests.conftest import eventually
from tests.integration.fleet.conftest import ROOMY, quick_provider

WAIT = 60.0


def snapshot(raw: Any) -> dict[bytes, tuple[bytes, int]]:
    """All keys, each with its time to live."""
    found = {key: (raw.dump(key), max(0, raw.pttl(key))) for key in raw.scan_iter()}
    return {key: (dump, left) for key, (dump, left) in found.items() if dump is not None}


def restore(raw: Any, dumps: dict[bytes, tuple[bytes, int]]) -> None:
    with raw.pipeline(transaction=True) as pipe:
        pipe.flushdb()
        for key, (dump, left) in dumps.items():
            pipe.restore(key, left, dump)
        pipe.execute()


def bought(fleet: LocalFleet) -> int:
    assert fleet.provider
    return int(fleet.provider.summary()["created"])


def test_an_image_is_not_bought_again_after_redis_has_gone_back(tmp_path: Path) -> None:
    with (
        LocalFleet(settings=ROOMY, provider=quick_provider(), log_dir=tmp_path, log_level="INFO") as fleet,
        Limner(fleet.redis_url) as limner,
        redis.Redis.from_url(fleet.redis_url) as raw,
    ):
        limner.submit("the first").result(WAIT)
        limner.pause()
        job = limner.submit("a fox")
        before = snapshot(raw)
        limner.resume()
        eventually(lambda: bought(fleet) == 2)
        restore(raw, before)
        log = fleet.workers[0].log
        eventually(lambda: "the ledger has gone back to an older state" in log.read_text())
        limner.resume()
        assert job.result(WAIT).urls
        assert limner.submit("a hare").result(WAIT).urls
        assert bought(fleet) == 3
        assert log.read_text().count("the ledger has gone back to an older state") == 1
        assert limner.check() == []


def test_an_emptied_redis_is_told_and_new_jobs_go_on(tmp_path: Path) -> None:
    with (
        LocalFleet(settings=ROOMY, provider=quick_provider(), log_dir=tmp_path, log_level="INFO") as fleet,
        Limner(fleet.redis_url) as limner,
        redis.Redis.from_url(fleet.redis_url) as raw,
    ):
        job = limner.submit("the first")
        job.result(WAIT)
        raw.flushdb()
        log = fleet.workers[0].log
        eventually(lambda: "the ledger was emptied, or is another one" in log.read_text())
        assert job.id in [each.job_id for each in limner.unmatched_callbacks()]
        assert limner.submit("a hare").result(WAIT).urls
        assert bought(fleet) == 2
