"""The stand-in for kie.ai as an ASGI app, with its routes."""

import contextlib
from collections.abc import AsyncIterator

from starlette.applications import Starlette
from starlette.routing import Route

from sandbox.kie.api.admin import AdminApi
from sandbox.kie.api.files import FilesApi
from sandbox.kie.api.jobs import JobsApi
from sandbox.kie.options import ProviderOptions
from sandbox.kie.state import ProviderState

__all__ = ["provider_app"]


def provider_app(options: ProviderOptions, base_url: str) -> Starlette:
    """The app. ``base_url`` is its own address, which begins the URLs of results.

    It needs :class:`sandbox.kie.faults.connections.Breakable` as uvicorn's HTTP protocol.
    """
    state = ProviderState(options, base_url)
    jobs, files, admin = JobsApi(state), FilesApi(state), AdminApi(state)

    @contextlib.asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        yield
        await state.courier.close()

    return Starlette(
        lifespan=lifespan,
        routes=[
            Route("/api/v1/jobs/recordInfo", jobs.record_info),
            Route("/api/v1/jobs/createTask", jobs.create_task, methods=["POST"]),
            Route("/api/v1/chat/credit", jobs.credit),
            Route("/api/v1/common/download-url", files.download_url, methods=["POST"]),
            Route("/files/{name}", files.file),
            Route("/sandbox/healthz", admin.healthz),
            Route("/sandbox/ledger", admin.ledger),
            Route("/sandbox/calls", admin.calls),
            Route("/sandbox/account", admin.account, methods=["POST"]),
            Route("/sandbox/faults", admin.faults, methods=["POST"]),
            Route("/sandbox/reset", admin.reset, methods=["POST"]),
        ],
    )
