"""Fresh links to result files."""

import httpx
import pytest

from sandbox.kie.api.provider import provider_app
from sandbox.kie.faults.files import LINKS
from sandbox.kie.options import ProviderOptions
from tests.asgi import BASE, Caller
from tests.unit.sandbox.kie.api.conftest import KEY, create


def link(kie: Caller, url: str, key: str = "sandbox-key") -> httpx.Response:
    headers = {"Authorization": f"Bearer {key}"}
    return kie.post("/api/v1/common/download-url", json={"url": url}, headers=headers)


def test_a_link_leads_to_the_file_and_ends(kie: Caller) -> None:
    name = f"{create(kie)}_0.png"
    url = str(link(kie, f"{BASE}/files/{name}").json()["data"])
    assert url.startswith(f"{BASE}/files/{name}?until=")
    assert kie.get(url).status_code == 200
    assert kie.get(f"/files/{name}?until=1").status_code == 404


@pytest.mark.parametrize("status", ["403", "404", "410"])
def test_only_a_link_leads_to_a_file_whose_own_link_has_expired(kie: Caller, status: str) -> None:
    url = f"{BASE}/files/{create(kie, f'a kite [fault:file_expired={status}]')}_0.png"
    assert str(kie.get(url).status_code) == status
    assert kie.get(link(kie, url).json()["data"]).content.startswith(b"\x89PNG")


def test_a_link_to_somebody_else_s_file_is_refused(kie: Caller) -> None:
    name = f"{create(kie)}_0.png"
    for url in ("https://elsewhere/a.png", f"https://elsewhere/files/{name}", f"{BASE}/files/unknown_0.png"):
        assert link(kie, url).json()["code"] == 422


@pytest.mark.parametrize("body", [b"", b"[]", b'{"url": 5}', b'{"url": "http://["}'])
def test_a_body_without_a_url_is_refused(kie: Caller, body: bytes) -> None:
    answer = kie.post("/api/v1/common/download-url", content=body, headers=KEY)
    assert answer.json()["code"] == 422


def test_a_link_needs_a_key(kie: Caller) -> None:
    url = f"{BASE}/files/{create(kie)}_0.png"
    assert kie.post("/api/v1/common/download-url", json={"url": url}).json()["code"] == 401


def test_a_link_needs_a_key_of_the_account_that_created_the_task() -> None:
    options = ProviderOptions(duration=1e-9, accounts="main=sandbox-key+second,other=theirs")
    kie = Caller(provider_app(options, BASE))
    url = f"{BASE}/files/{create(kie)}_0.png"
    codes = [link(kie, url, key).json()["code"] for key in ("sandbox-key", "second", "theirs", "nobody")]
    assert codes == [200, 200, 422, 401]


def test_calls_are_counted_by_their_outcome(kie: Caller) -> None:
    url = f"{BASE}/files/{create(kie, 'a kite [fault:link_odd=429*1]')}_0.png"
    codes = [link(kie, each).json()["code"] for each in (url, url, "https://elsewhere/a.png")]
    assert codes == [429, 200, 422]
    calls = kie.get("/sandbox/ledger", params={"summary": "1"}).json()["calls"]
    assert calls["download-url"] == {"link_odd": 1, "200": 1, "422": 1}


@pytest.mark.parametrize("variant", [name for name, (kind, _) in LINKS.items() if kind in ("code", "data")])
def test_an_odd_answer_has_no_link_to_the_file(kie: Caller, variant: str) -> None:
    url = f"{BASE}/files/{create(kie, f'a kite [fault:link_odd={variant}]')}_0.png"
    answer = link(kie, url)
    kind, value = LINKS[variant]
    assert answer.json()[kind] == value
    assert "?until=" not in answer.text
