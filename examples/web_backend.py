"""A web backend on Limner: ``uvicorn examples.web_backend:app``, with LIMNER_REDIS_URL set.

WEB_BACKEND_TOKENS says who may call, as a JSON object of users by their bearer tokens. The login of your own
backend takes its place.

``POST /images`` takes the fields of a :class:`limner.TextToImage` as JSON and answers at once with 202 and
the URL of the job. ``GET /images/{id}`` returns its status; with ``?wait=25`` it answers as soon as the job
has ended, or after so many seconds. No request holds a thread, and all waits share one connection to Redis.
"""

import contextlib
import hmac
import json
import os
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


def user_of(request: Request) -> str:
    """The user who sent a request, or a 401. The name has no colon; see :func:`key_of`."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    users: dict[str, str] = request.app.state.users
    for known, user in users.items():
        if scheme.lower() == "bearer" and hmac.compare_digest(known.encode(), token.encode()):
            return user
    raise HTTPException(401, "a bearer token is needed", headers={"WWW-Authenticate": "Bearer"})


def key_of(user: str, request: Request) -> str | None:
    """The idempotency key of a request, if its header names one.

    Callers choose the header, and two of them may choose the same. So the key begins with the authenticated
    user: otherwise the second caller would get the first one's images.
    """
    named = request.headers.get("idempotency-key")
    return None if named is None else f"{user}:{named}"


async def create(request: Request) -> Response:
    """Submit a job. An ``Idempotency-Key`` makes it safe for the caller to repeat a request."""
    user = user_of(request)
    wanted = TextToImage.model_validate_json(await request.body())
    limner: Limner = request.app.state.limner
    job = await limner.asubmit(
        wanted, idempotency_key=key_of(user, request), lane=user, metadata={"user": user}
    )
    where = str(request.url_for("show", job_id=job.id))
    return JSONResponse({"id": job.id, "url": where}, 202, headers={"Location": where})


async def show(request: Request) -> Response:
    """The status of the caller's own job, with its images or its error once it has ended."""
    user = user_of(request)
    seconds = _seconds(request.query_params.get("wait", "0"))
    limner: Limner = request.app.state.limner
    job = limner.get(request.path_params["job_id"])
    if (await job.astatus()).metadata.get("user") != user:
        raise UnknownJob(f"no job {job.id}")
    return JSONResponse(await _outcome(job, seconds))


async def _outcome(job: Job, seconds: float) -> dict[str, Any]:
    try:
        images = await job.aresult(timeout=seconds)
    except WaitTimeout:
        status = await job.astatus()
        return {"state": status.state, "position": status.position, "attempts": status.attempts}
    except JobFailed as error:
        facts = {name: getattr(error, name) for name in ("message", "advice", "retryable")}
        return {"state": "failed", "error": {"type": type(error).__name__, **facts}}
    # Copies stay, and the provider's links die within days.
    urls = [file.url for file in images.files] if images.copied else images.urls
    return {"state": "succeeded", "urls": urls}


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


def _users(text: str) -> dict[str, str]:
    users: dict[str, str] = json.loads(text)
    for user in users.values():
        if not user or ":" in user:
            raise ValueError("WEB_BACKEND_TOKENS: a user's name must not be empty or have a colon")
    return users


@contextlib.asynccontextmanager
async def _lifespan(app: Starlette) -> AsyncIterator[None]:
    app.state.users = _users(os.environ.get("WEB_BACKEND_TOKENS", "{}"))
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
