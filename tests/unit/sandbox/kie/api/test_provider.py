"""The paths of the stand-in."""

import pytest

from tests.asgi import BASE, Caller
from tests.unit.sandbox.kie.api.conftest import KEY, create


def test_result_urls_begin_where_the_stand_in_is_reached(kie: Caller) -> None:
    task = create(kie)
    answer = kie.get("/api/v1/jobs/recordInfo", params={"taskId": task}, headers=KEY).json()
    assert answer["data"]["resultJson"] == f'{{"resultUrls": ["{BASE}/files/{task}_0.png"]}}'


@pytest.mark.parametrize("path", ["/api/v1/jobs/createTask", "/sandbox/reset", "/sandbox/faults"])
def test_what_changes_something_is_no_get(kie: Caller, path: str) -> None:
    assert kie.get(path, headers=KEY).status_code == 405


def test_another_path_leads_nowhere(kie: Caller) -> None:
    assert kie.get("/api/v1/jobs", headers=KEY).status_code == 404


@pytest.mark.parametrize("status", [301, 307])
def test_an_api_url_can_lie_behind_a_redirect(kie: Caller, status: int) -> None:
    answer = kie.post(f"/redirect/{status}/api/v1/jobs/createTask", headers=KEY, json={})
    assert (answer.status_code, answer.headers["location"]) == (status, f"{BASE}/api/v1/jobs/createTask")
    assert kie.get("/sandbox/ledger").json()["created"] == 0


def test_an_api_url_can_have_a_path_too_many(kie: Caller) -> None:
    assert kie.post("/api/v1/api/v1/jobs/createTask", headers=KEY, json={}).status_code == 404
