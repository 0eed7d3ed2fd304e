"""Result files and their download links."""

from tests.asgi import BASE, Caller
from tests.unit.sandbox.kie.api.conftest import KEY, create


def link(kie: Caller, url: str) -> dict[str, object]:
    answer = kie.post("/api/v1/common/download-url", json={"url": url}, headers=KEY)
    return dict(answer.json())


def test_a_finished_task_s_image_is_a_png_that_needs_no_key(kie: Caller) -> None:
    answer = kie.get(f"/files/{create(kie)}_0.png")
    assert answer.headers["content-type"] == "image/png"
    assert answer.content.startswith(b"\x89PNG")


def test_an_image_that_was_not_asked_for_is_not_there(kie: Caller) -> None:
    task = create(kie)
    for name in (f"{task}_1.png", f"{task}.png", "unknown_0.png"):
        assert kie.get(f"/files/{name}").status_code == 404


def test_a_caller_without_a_user_agent_is_refused(kie: Caller) -> None:
    assert kie.get(f"/files/{create(kie)}_0.png", headers={"User-Agent": ""}).status_code == 403


def test_a_link_leads_to_the_file_and_ends(kie: Caller) -> None:
    name = f"{create(kie)}_0.png"
    url = str(link(kie, f"{BASE}/files/{name}")["data"])
    assert url.startswith(f"{BASE}/files/{name}?until=")
    assert kie.get(url).status_code == 200
    assert kie.get(f"/files/{name}?until=1").status_code == 404


def test_a_link_to_somebody_else_s_file_is_refused(kie: Caller) -> None:
    assert link(kie, "https://elsewhere/a.png")["code"] == 422


def test_a_link_needs_a_key(kie: Caller) -> None:
    answer = kie.post("/api/v1/common/download-url", json={"url": f"{BASE}/files/{create(kie)}_0.png"})
    assert answer.json()["code"] == 401
