"""The names under which the ledger keeps what belongs to a namespace."""

from typing import Any

import pytest

from limner import ConfigurationError, Limner, TextToImage
from limner.ledger.jobs import Jobs
from limner.namespaces import checked_namespace, key_label, lane_label, lane_named, namespace_of_env
from limner.options import SubmitOptions
from limner.submission import submission_of

URL = "redis://127.0.0.1:1/0"
FOX = TextToImage(prompt="a fox")


@pytest.mark.parametrize("name", ["shop", "s", "Shop-2.eu_west", "x" * 32])
def test_a_namespace_is_a_plain_name(name: str) -> None:
    assert checked_namespace(name) == name


@pytest.mark.parametrize(
    "name", [" ", "a b", "a/b", "a:b", "-a", "é", "x" * 33, "a\n", "{a}", "\ud800", None, 7, b"shop"]
)
def test_any_other_is_refused_by_the_argument_s_name(name: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigurationError, match=r"^namespace: must be"):
        Limner(URL, namespace=name)
    if isinstance(name, str) and name.strip() and name.isascii() and name.strip() == name:
        monkeypatch.setenv("LIMNER_REDIS_URL", URL)
        monkeypatch.setenv("LIMNER_NAMESPACE", name)
        with pytest.raises(ConfigurationError, match=r"^LIMNER_NAMESPACE: must be"):
            Limner.from_env()


def test_the_environment_may_name_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIMNER_REDIS_URL", URL)
    monkeypatch.setenv("LIMNER_NAMESPACE", " shop ")
    assert namespace_of_env() == "shop"
    assert "namespace='shop'" in repr(Limner.from_env())
    monkeypatch.setenv("LIMNER_NAMESPACE", "")
    assert "namespace" not in repr(Limner.from_env())


@pytest.mark.parametrize("lane", [None, "tenant-42", "a/b", "shop/a", "/"])
@pytest.mark.parametrize("namespace", ["", "shop"])
def test_a_lane_is_read_as_it_was_named(namespace: str, lane: str | None) -> None:
    assert lane_named(lane_label(namespace, lane), namespace) == lane


def test_no_two_namespaces_share_a_key_or_a_lane() -> None:
    spaces = ["", "shop", "blog"]
    assert len({key_label(each, "digest") for each in spaces}) == 3
    for lane in (None, "tenant-42"):
        assert len({lane_label(each, lane) for each in spaces}) == 3


def test_a_submission_carries_its_namespace_to_the_script() -> None:
    options = SubmitOptions(lane="x" * 64)
    spoken = [
        Jobs.submission(submission_of(FOX, options, idempotency_key="order-7", namespace=namespace))
        for namespace in ("", "shop")
    ]
    assert [call.namespace for call in spoken] == [None, "shop"]
    assert [call.lane for call in spoken] == ["x" * 64, "shop/" + "x" * 64]
    assert spoken[1].key == f"shop:{spoken[0].key}"
