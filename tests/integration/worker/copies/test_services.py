"""The services of copies, made from settings, with the stand-in as the provider."""

from pathlib import Path

from pydantic import SecretStr

from config import Settings
from limner.models import TextToImage
from provider import Accepted, Done, KieClient
from tests.conftest import eventually
from tests.integration.fleet.conftest import quick_provider
from worker.copies.services import make_copies


def settings(**changes: str) -> Settings:
    return Settings(redis_url="redis://127.0.0.1:1/0", **changes)  # type: ignore[arg-type]


def test_a_fleet_without_a_place_copies_nothing() -> None:
    assert make_copies(settings(), {}) is None


def test_a_worker_has_as_many_places_as_the_settings_say(tmp_path: Path) -> None:
    copies = make_copies(settings(copy_to=f"file://{tmp_path}", copy_concurrency="3"), {})
    assert copies
    assert [copies.room.enter() for _ in range(3)] == [True, True, True]
    assert copies.room.claims() == 4
    assert copies.copier.thumbnails


def test_a_fresh_link_is_the_provider_s_own(tmp_path: Path) -> None:
    with quick_provider() as kie, KieClient(kie.url, SecretStr(kie.options.keys)) as client:
        copies = make_copies(settings(copy_to=f"file://{tmp_path}"), {"main": client})
        assert copies
        fresh_link = copies.copier.fresh_link
        url = finished_file(client)
        link = fresh_link("main", url)
        assert link
        assert link.startswith(url)
        assert link != url
        # The file of somebody else, and an account whose key this worker lacks.
        assert fresh_link("main", "https://example.com/a.png") is None
        assert fresh_link("other", url) is None


def finished_file(client: KieClient) -> str:
    created = client.create_task(TextToImage(prompt="a link"))
    assert isinstance(created, Accepted)
    eventually(lambda: isinstance(client.record_info(created.task_id), Done))
    done = client.record_info(created.task_id)
    assert isinstance(done, Done)
    return done.urls[0]
