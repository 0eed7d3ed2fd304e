"""The stand-in's app without a socket."""

import pytest

from sandbox.kie.api.provider import provider_app
from sandbox.kie.options import ProviderOptions
from tests.asgi import BASE, Caller

KEY = {"Authorization": "Bearer sandbox-key"}


@pytest.fixture
def kie() -> Caller:
    """A stand-in whose tasks end as soon as they are created."""
    return Caller(provider_app(ProviderOptions(duration=1e-9), BASE))


def create(kie: Caller, prompt: str = "a red kite") -> str:
    order = {"model": "ideogram/v3-text-to-image", "input": {"prompt": prompt}}
    answer = kie.post("/api/v1/jobs/createTask", json=order, headers=KEY).json()
    return str(answer["data"]["taskId"])
