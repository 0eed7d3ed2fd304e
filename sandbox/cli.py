"""``python -m sandbox``: the parts of the local fleet, each on its own."""

import contextlib
import inspect
import os
import signal
import threading
from dataclasses import fields
from pathlib import Path
from typing import Annotated, Any

import typer

from sandbox.kie.options import ProviderOptions
from sandbox.kie.server import serve
from sandbox.local.up import up
from sandbox.local.valkey import EmbeddedValkey
from sandbox.rival.process import rival

__all__ = ["app"]

app = typer.Typer(no_args_is_help=True, add_completion=False, help="A local kie.ai and an embedded Valkey.")


def provider(ready_fd: int, **options: Any) -> None:
    """Run the stand-in for kie.ai until Ctrl-C."""
    try:
        chosen = ProviderOptions(**options)
        with contextlib.suppress(KeyboardInterrupt):
            serve(chosen, lambda url: _announce(url, ready_fd, chosen))
    except (OSError, ValueError) as error:
        raise typer.BadParameter(str(error)) from None


def valkey(
    port: Annotated[int, typer.Option(help="0 takes a free one.")] = 0,
    data_dir: Annotated[
        Path | None, typer.Option(help="Keeps the data there; without it, nothing is kept.")
    ] = None,
) -> None:
    """Run an embedded Valkey until Ctrl-C, and print its URL."""
    stopped = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopped.set())
    with EmbeddedValkey(port=port or None, data_dir=data_dir) as server:
        typer.echo(server.url)
        stopped.wait()


def _announce(url: str, ready_fd: int, options: ProviderOptions) -> None:
    if ready_fd >= 0:
        with os.fdopen(ready_fd, "w") as pipe:
            pipe.write(f"{url}\n")
    else:
        keys = ", ".join(sorted(options.accepted_keys))
        typer.echo(f"kie.ai stand-in on {url}   key: {keys}   ledger: {url}/sandbox/ledger?summary=1")


def _signature() -> inspect.Signature:
    # Typer reads a command's options from its signature, and only the dataclass lists them.
    ready_fd = inspect.Parameter(
        "ready_fd",
        inspect.Parameter.KEYWORD_ONLY,
        default=-1,
        annotation=Annotated[int, typer.Option(hidden=True)],
    )
    listed = [
        inspect.Parameter(
            option.name,
            inspect.Parameter.KEYWORD_ONLY,
            default=option.default,
            annotation=Annotated[option.type, typer.Option(help=option.metadata["help"])],
        )
        for option in fields(ProviderOptions)
    ]
    return inspect.Signature([ready_fd, *listed])


provider.__signature__ = _signature()  # type: ignore[attr-defined]
provider.__annotations__ = {name: parameter.annotation for name, parameter in _signature().parameters.items()}
app.command()(provider)
app.command()(valkey)
app.command()(rival)
app.command()(up)
