"""Result files."""

import hashlib
from typing import Any

import pytest

from tests.asgi import Caller
from tests.unit.sandbox.kie.api.conftest import create

BROWSER = {"User-Agent": "Mozilla/5.0 (X11; Linux x86_64)"}


def path_of(kie: Caller, prompt: str = "a red kite") -> str:
    return f"/files/{create(kie, prompt)}_0.png"


def statuses(kie: Caller, path: str, times: int = 3) -> list[int]:
    return [kie.get(path).status_code for _ in range(times)]


def outcomes(kie: Caller) -> Any:
    return kie.get("/sandbox/ledger", params={"summary": "1"}).json()["calls"]["files"]


def test_a_finished_task_s_image_is_a_png_that_needs_no_key(kie: Caller) -> None:
    answer = kie.get(path_of(kie))
    assert answer.headers["content-type"] == "image/png"
    assert answer.content.startswith(b"\x89PNG")


@pytest.mark.parametrize("agent", ["", "python-requests/2.32.3", "Python-urllib/3.13"])
def test_a_script_s_user_agent_is_refused(kie: Caller, agent: str) -> None:
    path = path_of(kie)
    assert kie.get(path, headers={"User-Agent": agent}).status_code == 403
    assert outcomes(kie) == {"403": 1}


@pytest.mark.parametrize("agent", ["limner", "Mozilla/5.0"])
def test_any_other_user_agent_gets_the_file(kie: Caller, agent: str) -> None:
    assert kie.get(path_of(kie), headers={"User-Agent": agent}).status_code == 200


def test_the_host_can_insist_on_a_browser(kie: Caller) -> None:
    path = path_of(kie, "a kite [fault:file_403=agent]")
    assert (kie.get(path).status_code, kie.get(path, headers=BROWSER).status_code) == (403, 200)


@pytest.mark.parametrize("fault", ["file_404", "file_403"])
def test_a_retry_gets_a_file_whose_first_downloads_fail(kie: Caller, fault: str) -> None:
    path = path_of(kie, f"a kite [fault:{fault}*2]")
    status = int(fault[-3:])
    assert statuses(kie, path) == [status, status, 200]
    assert outcomes(kie) == {fault: 2, "200": 1}


def test_a_probability_is_that_of_each_download_of_a_file(kie: Caller) -> None:
    path = path_of(kie)
    kie.post("/sandbox/faults", json={"file_404": 0.5})
    assert set(statuses(kie, path, 30)) == {200, 404}


def test_an_expired_link_stays_so_and_another_one_works(kie: Caller) -> None:
    kie.post("/sandbox/faults", json={"file_expired": {"probability": 0.5, "variant": "410"}})
    each = [statuses(kie, path_of(kie, f"kite {number}")) for number in range(20)]
    assert sorted({tuple(of_file) for of_file in each}) == [(200, 200, 200), (410, 410, 410)]


@pytest.mark.parametrize(
    ("image_format", "begins"), [("jpeg", b"\xff\xd8\xff"), ("webp", b"RIFF"), ("gif", b"GIF8")]
)
def test_a_file_can_have_a_format_that_its_name_denies(kie: Caller, image_format: str, begins: bytes) -> None:
    path = path_of(kie, f"a kite [fault:image_format={image_format}]")
    answer = kie.get(path)
    assert (path[-4:], answer.headers["content-type"]) == (".png", f"image/{image_format}")
    assert answer.content.startswith(begins)


def test_a_file_can_have_other_bytes_at_each_download(kie: Caller) -> None:
    path = path_of(kie, "a kite [fault:file_changed*2]")
    hashes = [hashlib.sha256(kie.get(path).content).hexdigest() for _ in range(4)]
    assert len(set(hashes)) == 3
    [listed] = kie.get("/sandbox/files").json()["files"]
    assert (listed["sha256"], listed["others"]) == (hashes[3], hashes[:2])
    assert (listed["fetches"], listed["served"]) == (4, 2)


def test_a_file_is_behind_a_redirect_that_no_fault_strikes(kie: Caller) -> None:
    path = path_of(kie, "a kite [fault:file_redirect]")
    assert kie.get(path).status_code == 302
    assert kie.get(f"/moved{path}").content.startswith(b"\x89PNG")
    assert kie.get("/moved/files/unknown_0.png").status_code == 404


def test_a_reset_forgets_the_files(kie: Caller) -> None:
    kie.get(path_of(kie))
    kie.post("/sandbox/reset")
    assert kie.get("/sandbox/files").json() == {"files": [], "after": 0, "more": False}
