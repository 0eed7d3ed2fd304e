"""The stand-in for kie.ai as an ASGI app, with its routes."""

import contextlib
from collections.abc import AsyncIterator

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sandbox.kie.api.admin import AdminApi
from sandbox.kie.api.balance import BalanceApi
from sandbox.kie.api.files import FilesApi
from sandbox.kie.api.jobs import JobsApi
from sandbox.kie.api.links import LinksApi
from sandbox.kie.door import Door
from sandbox.kie.options import ProviderOptions
from sandbox.kie.state import ProviderState

__all__ = ["provider_app"]


async def redirect(request: Request) -> Response:
    """``/redirect/{status}/…``: that status, with the rest of the path as the location.

    A client whose API URL ends in ``/redirect/301`` is behind a redirect.
    """
    place = request.path_params
    return Response(status_code=place["status"], headers={"location": str(request.base_url) + place["path"]})


def provider_app(options: ProviderOptions, base_url: str, door: Door | None = None) -> Starlette:
    """The app. ``base_url`` is its own address, which begins the URLs of results; ``door`` its server's.

    It needs :class:`sandbox.kie.faults.connections.Breakable` as uvicorn's HTTP protocol.
    """
    state = ProviderState(options, base_url)
    door = door or Door()
    jobs, balance, admin = JobsApi(state), BalanceApi(state), AdminApi(state, door)
    files, links = FilesApi(state), LinksApi(state)

    @contextlib.asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[dict[str, Door]]:
        yield {"door": door}
        await state.courier.close()

    return Starlette(
        lifespan=lifespan,
        routes=[
            Route("/api/v1/jobs/recordInfo", jobs.record_info),
            Route("/api/v1/jobs/createTask", jobs.create_task, methods=["POST"]),
            Route("/api/v1/chat/credit", balance.credit),
            Route("/api/v1/common/download-url", links.download_url, methods=["POST"]),
            Route("/files/{name}", files.file),
            Route("/moved/files/{name}", files.moved),
            Route("/redirect/{status:int}/{path:path}", redirect, methods=["GET", "POST"]),
            Route("/sandbox/healthz", admin.healthz),
            Route("/sandbox/ledger", admin.ledger),
            Route("/sandbox/calls", admin.calls),
            Route("/sandbox/files", admin.files),
            Route("/sandbox/account", admin.account, methods=["POST"]),
            Route("/sandbox/faults", admin.faults, methods=["POST"]),
            Route("/sandbox/reset", admin.reset, methods=["POST"]),
        ],
    )
