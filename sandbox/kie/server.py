"""Running the stand-in: in this process, or in a child for tests, the demo and users' own CI."""

import atexit
import json
import os
import socket
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from types import TracebackType
from typing import IO, Any, Final, Self

import httpx
import uvicorn

from sandbox.kie.api.provider import provider_app
from sandbox.kie.door import BACKLOG, Door
from sandbox.kie.faults.connections import Breakable
from sandbox.kie.limits.holders import MAIN
from sandbox.kie.options import ProviderOptions
from sandbox.processes.checkout import with_checkout
from sandbox.processes.children import Child

__all__ = ["ProviderDied", "SandboxProvider", "serve"]

STOP_SECONDS: Final = 5.0


class ProviderDied(RuntimeError):
    """The stand-in ended before it was ready; its own message is on standard error."""


def serve(options: ProviderOptions, ready: Callable[[str], None]) -> None:
    """Serve until SIGTERM or SIGINT. ``ready`` is called with the URL once connections are accepted.

    Raises :class:`OSError` if the address cannot be bound.
    """
    with socket.create_server((options.host, options.port), backlog=BACKLOG) as listener:
        host = "127.0.0.1" if options.host in ("", "0.0.0.0") else options.host
        url = f"http://{host}:{listener.getsockname()[1]}"
        door = Door()
        config = uvicorn.Config(
            provider_app(options, url, door),
            http=Breakable,
            ws="none",
            loop="asyncio",
            log_level="warning",
            access_log=False,
            server_header=False,
            timeout_keep_alive=75,
            timeout_graceful_shutdown=1,
        )
        server = uvicorn.Server(config)
        door.attach(server, listener.getsockname())
        ready(url)
        server.run(sockets=[listener])


class SandboxProvider:
    """The stand-in in its own process, as a context manager::

        with SandboxProvider(speed=20, faults={"create_429": 0.1}) as provider:
            Client(provider.url, key="sandbox-key")

    Keywords are the fields of :class:`~sandbox.kie.options.ProviderOptions`, which raises :class:`ValueError`
    for an invalid one; ``faults`` may be a mapping. The process never outlives the one that started it.
    """

    def __init__(self, *, faults: Mapping[str, Any] | str = "", **options: Any) -> None:
        text = faults if isinstance(faults, str) else json.dumps(faults)
        self.options = ProviderOptions(faults=text, **options)
        self._owner = os.getpid()
        self._child: Child | None = None
        self._url = ""
        self._admin: httpx.Client | None = None

    @property
    def url(self) -> str:
        """The base of every path, such as ``http://127.0.0.1:41234``; empty before the start."""
        return self._url

    @property
    def pid(self) -> int:
        return self._live().pid

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self, *, output: IO[bytes] | None = None) -> Self:
        """Start the process and wait until it accepts connections. Raises :class:`ProviderDied` on failure.

        ``output`` receives its standard output and error; the default is this process' own.
        """
        atexit.register(self.stop)
        ready, announcement = os.pipe()
        try:
            argv = [sys.executable, "-m", "sandbox", "provider", "--ready-fd", str(announcement)]
            self._child = Child(
                [*argv, *self.options.arguments()],
                output=output,
                env=with_checkout(os.environ),
                pass_fds=[announcement],
            )
        finally:
            os.close(announcement)
        with os.fdopen(ready) as pipe:
            self._url = pipe.readline().strip()  # ends at once if the child does
        if not self._url:
            self.stop()
            raise ProviderDied("The sandbox provider did not start; see its message on standard error.")
        # Its connection stays open, because it is the only way in while the fault "unreachable" is on.
        kept = httpx.Limits(keepalive_expiry=None)
        self._admin = httpx.Client(base_url=self._url, timeout=60, trust_env=False, limits=kept)
        return self

    def stop(self) -> None:
        """Stop the process in an orderly way."""
        if os.getpid() != self._owner:
            return  # a forked copy of the owner runs the same atexit handlers
        atexit.unregister(self.stop)
        if self._admin is not None:
            self._admin.close()
            self._admin = None
        if self._child is not None:
            self._child.stop(STOP_SECONDS)
            self._child = None

    def kill(self) -> None:
        """Kill the process (SIGKILL). Its memory is lost."""
        self._live().kill()

    def restart(self) -> None:
        """Restart the process on the same port, with an empty ledger."""
        port = httpx.URL(self._url).port
        self.stop()
        self.options = replace(self.options, port=port or 0)
        self.start()

    def faults(self, **changes: Any) -> dict[str, Any]:
        """Change the named faults, such as ``create_429={"next": 3}``; return all active ones.

        Raises :class:`ValueError` for a fault that does not exist.
        """
        return self._change("/sandbox/faults", changes)

    def set_credits(self, credits_left: float, account: str = MAIN) -> None:
        """Set the credits that an account can spend now, as a top-up does.

        Raises :class:`ValueError` for an account that does not exist, or a negative amount.
        """
        self._change("/sandbox/account", {"account": account, "credits": credits_left})

    def revoke(self, key: str) -> None:
        """Refuse a key with 401 from now on. Raises :class:`ValueError` for a key of no account."""
        self._change("/sandbox/account", {"revoke": key})

    def restore(self, key: str) -> None:
        """Accept a revoked key again. Raises :class:`ValueError` for a key of no account."""
        self._change("/sandbox/account", {"restore": key})

    def ledger(self, *, prompt: str | None = None) -> list[dict[str, Any]]:
        """Every task ever created, oldest first, or those with exactly that prompt."""
        params = {} if prompt is None else {"prompt": prompt}
        return list(self._http().get("/sandbox/ledger", params=params).raise_for_status().json()["tasks"])

    def summary(self) -> dict[str, Any]:
        """The ledger's figures and counters: the totals, and each account's under ``accounts``."""
        response = self._http().get("/sandbox/ledger", params={"summary": "1"})
        return dict(response.raise_for_status().json())

    def calls(self, *, after: int = 0) -> list[dict[str, Any]]:
        """The createTask and recordInfo calls from number ``after`` + 1 on, in the order of their arrival.

        Each has its ``number`` (from 1), ``at_ms`` (arrival in epoch milliseconds), ``endpoint``,
        ``account`` and ``key`` (the key's index in its account, from 0; both None for an unknown key),
        ``outcome`` (the code, the kind of its absence, or ``pending``) and ``task_id``. The stand-in keeps
        the last million calls.
        """
        calls: list[dict[str, Any]] = []
        more = True
        while more:
            page = self._http().get("/sandbox/calls", params={"after": after}).raise_for_status().json()
            calls += page["calls"]
            after, more = (calls[-1]["number"] if calls else after), page["more"]
        return calls

    def files(self) -> list[dict[str, Any]]:
        """Every file of the tasks that succeeded, in the order of the tasks.

        Each has its ``path`` (that of its URL), ``task_id`` and ``number`` (of the image in the task, from
        1); ``fetches`` (how often it was asked for) and ``served`` (how often it was sent whole and as it
        is). ``sha256`` (hex), ``size`` (bytes) and ``content_type`` are None until it has been drawn.
        ``others`` are the hashes of what the fault ``file_changed`` sent in its place.
        """
        files: list[dict[str, Any]] = []
        after, more = 0, True
        while more:
            page = self._http().get("/sandbox/files", params={"after": after}).raise_for_status().json()
            files += page["files"]
            after, more = page["after"], page["more"]
        return files

    def reset(self) -> None:
        """Forget every task, call and count, and restore the credits, keys and faults of the start."""
        self._http().post("/sandbox/reset").raise_for_status()

    def _change(self, path: str, changes: Mapping[str, Any]) -> dict[str, Any]:
        response = self._http().post(path, json=changes)
        if response.status_code == httpx.codes.BAD_REQUEST:
            raise ValueError(response.json()["error"])
        return dict(response.raise_for_status().json())

    def _http(self) -> httpx.Client:
        if self._admin is None:
            raise ProviderDied("The sandbox provider was not started.")
        return self._admin

    def _live(self) -> Child:
        if self._child is None:
            raise ProviderDied("The sandbox provider was not started.")
        return self._child
