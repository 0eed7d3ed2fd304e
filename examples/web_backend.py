"""A web backend on Limner: ``uvicorn examples.web_backend:app``, with LIMNER_REDIS_URL set.

``POST /images`` takes the fields of a :class:`limner.TextToImage` as JSON and answers at once with 202 and
the URL of the job. ``GET /images/{id}`` returns its status; with ``?wait=25`` it answers as soon as the job
has ended, or after so many seconds. No request holds a thread, and all waits share one connection to Redis.
"""

import contextlib
from collections.abc import AsyncIterator
from typing import Any, Final

from pydantic import ValidationError
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from limner import (
    IdempotencyConflict,
    InvalidRequest,
    Job,
    JobFailed,
    Limner,
    StoreUnavailable,
    TextToImage,
    UnknownJob,
    WaitTimeout,
)

__all__ = ["app"]

LONGEST_WAIT: Final = 25.0
"""Seconds; most proxies give up on an answer after 30."""
STATUSES: Final[dict[type[Exception], int]] = {InvalidRequest: 422, IdempotencyConflict: 409, UnknownJob: 404}


async def create(request: Request) -> Response:
    """Submit a job. An ``Idempotency-Key`` makes it safe for the caller to repeat a request."""
    wanted = TextToImage.model_validate_json(await request.body())
    limner: Limner = request.app.state.limner
    job = await limner.asubmit(wanted, idempotency_key=request.headers.get("idempotency-key"))
    where = str(request.url_for("show", job_id=job.id))
    return JSONResponse({"id": job.id, "url": where}, 202, headers={"Location": where})


async def show(request: Request) -> Response:
    """The status of a job, with its images or its error once it has ended."""
    limner: Limner = request.app.state.limner
    job = limner.get(request.path_params["job_id"])
    return JSONResponse(await _outcome(job, _seconds(request.query_params.get("wait", "0"))))


async def _outcome(job: Job, seconds: float) -> dict[str, Any]:
    try:
        images = await job.aresult(timeout=seconds)
    except WaitTimeout:
        status = await job.astatus()
        return {"state": status.state, "position": status.position, "attempts": status.attempts}
    except JobFailed as error:
        facts = {name: getattr(error, name) for name in ("message", "advice", "retryable")}
        return {"state": "failed", "error": {"type": type(error).__name__, **facts}}
    return {"state": "succeeded", "urls": images.urls}


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        raise HTTPException(422, "wait: a number of seconds is needed") from None
    if not 0 <= seconds <= LONGEST_WAIT:
        raise HTTPException(422, f"wait: from 0 to {LONGEST_WAIT:.0f} seconds")
    return seconds


async def _malformed(_request: Request, error: Exception) -> Response:
    assert isinstance(error, ValidationError)  # noqa: S101 - it is called for no other
    faults = error.errors(include_url=False, include_context=False, include_input=False)
    return JSONResponse({"errors": faults}, 422)


async def _refused(_request: Request, error: Exception) -> Response:
    return JSONResponse({"errors": [{"msg": str(error)}]}, STATUSES[type(error)])


async def _store_away(_request: Request, _error: Exception) -> Response:
    # With the same Idempotency-Key the caller may simply try again; what is wrong is for the log, not for it.
    return JSONResponse({"errors": [{"msg": "try again in a moment"}]}, 503, headers={"Retry-After": "1"})


@contextlib.asynccontextmanager
async def _lifespan(app: Starlette) -> AsyncIterator[None]:
    async with Limner.from_env() as app.state.limner:
        yield


app = Starlette(
    lifespan=_lifespan,
    routes=[
        Route("/images", create, methods=["POST"]),
        Route("/images/{job_id}", show),
    ],
    exception_handlers={
        ValidationError: _malformed,
        StoreUnavailable: _store_away,
        **dict.fromkeys(STATUSES, _refused),
    },
)
