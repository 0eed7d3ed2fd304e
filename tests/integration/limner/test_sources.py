"""Bytes read from a store, as the fleet's storage may be one."""

import hashlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pydantic
import pytest

from limner.sources import Sources, Unusable
from tests.repository import ROOT

obstore = pytest.importorskip("obstore", reason="the storage of copies needs obstore")
moto = pytest.importorskip("moto.server", reason="needs moto's S3")

DATA = b"\x89PNG\r\n\x1a\n" + b"red" * 500_000


@pytest.fixture
def endpoint(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """An S3 with a bucket and two images, and the environment of a producer that may read them."""
    server = moto.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    url = f"http://{host}:{port}"
    for name, value in {
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "hush",
        "LIMNER_COPY_ENDPOINT": url,
        "LIMNER_COPY_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)
    store = obstore.store.S3Store(
        "images", endpoint=url, region="us-east-1", client_options={"allow_http": True}
    )
    httpx.put(f"{url}/images").raise_for_status()
    for name in ("2026/a=20b.png", "2026/1.png"):
        obstore.put(store, name, DATA)
    yield url
    server.stop()


@pytest.mark.parametrize("name", ["2026/1.png", "2026/a=20b.png"])
def test_an_object_is_read_in_pieces(endpoint: str, name: str) -> None:
    with Sources.from_env().open(f"s3://images/{name}", stored=True) as source:
        pieces = list(source.pieces)
    assert source.length == len(DATA)
    assert len(pieces) > 1
    assert hashlib.sha256(b"".join(pieces)).digest() == hashlib.sha256(DATA).digest()


@pytest.mark.parametrize(
    "address", ["s3://images/none.png", "s3://nobodys/1.png", "s3://images", "s3://", "az://c/1.png"]
)
def test_an_object_that_is_not_there_is_told_in_one_line(
    endpoint: str, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AZURE_STORAGE_ACCOUNT_NAME", raising=False)
    with pytest.raises(Unusable) as no, Sources.from_env().open(address, stored=True):
        pass
    assert str(no.value).startswith(f"{address}")
    assert "\n" not in str(no.value)
    assert "<" not in str(no.value)


def test_a_link_of_the_provider_leads_to_no_object(endpoint: str) -> None:
    with pytest.raises(Unusable, match="not an address with http, https"):
        Sources.from_env().open("s3://images/2026/1.png", stored=False)


def test_a_producer_without_obstore_learns_what_to_install(tmp_path: Path) -> None:
    # A site of its own with all that is installed here, save obstore.
    for installed in Path(pydantic.__file__).parents[1].iterdir():
        if "obstore" not in installed.name and installed.suffix != ".pth":
            (tmp_path / installed.name).symlink_to(installed)
    code = (
        "from limner.sources import Sources, Unusable\n"
        "try:\n"
        "    Sources.from_env().open('s3://images/1.png', stored=True).__enter__()\n"
        "except Unusable as reason:\n"
        "    print(reason)\n"
    )
    told = subprocess.check_output(
        [sys.executable, "-S", "-c", code],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        text=True,
    )
    assert told.startswith(
        "s3://images/1.png: install the package obstore to read it; or set LIMNER_COPY_URL"
    )
