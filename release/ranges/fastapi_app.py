"""A FastAPI application that submits jobs and takes callbacks: ``python fastapi_app.py FLEET_URL OTHER_URL``.

It runs in an environment with the wheel, its extra ``callbacks``, and FastAPI; there is no client for HTTP.
"""

import asyncio
import json
import os
import sys
from typing import Any, Final

import fastapi
import starlette
from fastapi import FastAPI
from starlette.applications import Starlette

from limner import Images, Limner, TextToImage
from limner.callbacks import Receiver
from limner.callbacks.asgi import route

PATIENCE: Final = 60.0


def application(client: Limner, receiver: Receiver) -> FastAPI:
    """An application with a route that draws, and one for callbacks."""
    app = FastAPI()

    async def draw(request: TextToImage) -> Images:
        job = await client.asubmit(request, metadata={"from": "fastapi"})
        return await job.aresult(PATIENCE)

    app.add_api_route("/images", draw, methods=["POST"])
    app.mount("/limner", Starlette(routes=[route(receiver)]))
    return app


async def post(app: FastAPI, path: str, body: Any) -> tuple[int, Any]:
    """The status and the content of the answer to a POST, without a socket."""
    incoming = iter([{"type": "http.request", "body": json.dumps(body).encode(), "more_body": False}])
    sent: list[Any] = []

    async def receive() -> Any:
        return next(incoming)

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": [(b"content-type", b"application/json"), (b"host", b"app.test")],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 80),
    }
    await app(scope, receive, send)
    content = b"".join(message.get("body", b"") for message in sent)
    return sent[0]["status"], json.loads(content)


async def trial(fleet: str) -> None:
    """Make a request of each kind, and check its answer."""
    async with Limner(fleet) as client:
        app = application(client, Receiver.from_env())
        status, images = await post(app, "/images", {"prompt": "a kite", "num_images": 2, "seed": 7})
        assert (status, len(images["urls"]), images["metadata"]) == (200, 2, {"from": "fastapi"}), images
        status, fault = await post(app, "/images", {"prompt": "a kite", "num_images": 5})
        assert (status, fault["detail"][0]["loc"]) == (422, ["body", "num_images"]), fault
        status, answer = await post(app, "/limner/callbacks/no-such-job/token", {"data": {"taskId": "a"}})
        assert (status, answer["msg"]) == (200, "success"), answer
        async with Limner(os.environ["LIMNER_REDIS_URL"]) as other:
            assert await other.acallback_counts() == {"unknown_job": 1}


if __name__ == "__main__":
    os.environ["LIMNER_REDIS_URL"] = sys.argv[2]
    asyncio.run(trial(sys.argv[1]))
    print(json.dumps({"fastapi": fastapi.__version__, "starlette": starlette.__version__}))
