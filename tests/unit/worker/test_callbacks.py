"""The receiver's paths, behind a proxy that keeps the public path and behind one that removes it."""

import pytest

from config import Settings
from worker.callbacks import make_app


@pytest.mark.parametrize("prefix", ["", "/limner", "/callbacks", "/a/callbacks"])
def test_a_job_is_found_under_any_public_path(prefix: str) -> None:
    app = make_app(Settings(redis_url="redis://127.0.0.1:1/0", callback_url=f"https://h.test{prefix}"))
    for path in (f"{prefix}/callbacks/job-1/secret", "/callbacks/job-1/secret"):
        scope = {"type": "http", "method": "POST", "path": path, "root_path": "", "headers": []}
        parameters = next(
            child["path_params"]
            for match, child in (route.matches(scope) for route in app.routes)
            if match.value == 2
        )
        assert parameters == {"job_id": "job-1", "token": "secret"}, path
