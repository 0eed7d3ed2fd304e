"""Object stores as processes of their own, on loopback."""

import json
import os
import shutil
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import boto3
import httpx

from sandbox.processes.children import Child
from tests.conftest import eventually
from tests.repository import ROOT

AZURITE: Final = ROOT / "node_modules" / ".bin" / "azurite-blob"
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
def running(url: str, argv: list[str | Path], log: Path) -> Iterator[None]:
    """A server that has begun to answer."""
    with log.open("wb") as output:
        child = Child(argv, output=output.fileno(), env={**os.environ, "AZURITE_TELEMETRY": "false"})

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
def s3(folder: Path) -> Iterator[S3]:
    """A server with a bucket named ``bucket``."""
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
        httpx.post(f"{url}/moto-api/reset-auth", content=b"0", trust_env=False).raise_for_status()
        yield S3(url, keys)


def _user(iam: Any, name: str, actions: list[str]) -> dict[str, str]:
    iam.create_user(UserName=name)
    statement = {"Effect": "Allow", "Action": actions, "Resource": "*"}
    policy = {"Version": "2012-10-17", "Statement": [statement]}
    iam.put_user_policy(UserName=name, PolicyName="rights", PolicyDocument=json.dumps(policy))
    key = iam.create_access_key(UserName=name)["AccessKey"]
    return {"AWS_ACCESS_KEY_ID": key["AccessKeyId"], "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"]}


def has_azurite() -> bool:
    return AZURITE.exists() and shutil.which("node") is not None


@contextmanager
def azure(folder: Path) -> Iterator[str]:
    """The URL of the account of a server without containers."""
    port = free_port()
    argv: list[str | Path] = [AZURITE, "--inMemoryPersistence", "--silent", "--skipApiVersionCheck"]
    argv += ["--disableTelemetry", "--blobPort", str(port), "--location", folder]
    with running(f"http://127.0.0.1:{port}/", argv, folder / "azurite.log"):
        yield f"http://127.0.0.1:{port}/{AZURE_ACCOUNT}"
