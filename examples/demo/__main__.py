"""``python -m examples.demo``: see what Limner does, without an account and without leaving this machine."""

import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Final

import httpx
import typer
from rich.console import Console

from examples.demo.jobs import Ended
from examples.demo.orders import PAID, Source
from examples.demo.run import play, surprises, with_credits
from examples.demo.screen import results
from examples.demo.sheet import write_sheet
from limner import LimnerError
from sandbox.kie.server import ProviderDied, SandboxProvider
from sandbox.local.fleet import CHECKOUT, FleetError, LocalFleet
from sandbox.local.up import user_settings
from sandbox.local.valkey import ValkeyError
from sandbox.processes.interrupts import Interrupted, interruptible

SHEET: Final = CHECKOUT / ".limner" / "demo" / "contact-sheet.html"
IMAGES: Final = CHECKOUT / ".limner" / "images"
SCHEDULE: Final = Path(__file__).with_name("schedule.toml")
SPEED: Final = 5.0
PLAY_SETTINGS: Final = {
    "LIMNER_SCHEDULE_FILE": str(SCHEDULE),
    "LIMNER_BACKOFF_SECONDS": "1",
    "LIMNER_PAUSE_SECONDS": "2",
    "LIMNER_PAUSE_MAX_SECONDS": "4",
    "LIMNER_CALLBACK_PATIENCE_SECONDS": "4",
}


def main(
    out: Annotated[Path, typer.Option(help="Where the contact sheet goes.")] = SHEET,
    images: Annotated[Path, typer.Option(help="The folder to which images are copied.")] = IMAGES,
    yes: Annotated[
        bool, typer.Option("--yes", help="With LIMNER_API_KEY set: spend credits without asking.")
    ] = False,
) -> None:
    """Draw a dozen pictures with a fleet of this machine's own, and show how it went.

    Without LIMNER_API_KEY, in the environment or in .env, a stand-in for kie.ai draws them, and nothing
    leaves this machine.
    """
    console = Console()
    settings = user_settings()
    try:
        with interruptible():
            real = bool(settings.get("LIMNER_API_KEY"))
            failed = _paid(console, settings, out, images, yes) if real else _free(console, out, images)
    except Interrupted as interrupted:
        console.print("[yellow]Stopped.[/] Nothing is left running.")
        raise typer.Exit(interrupted.exit_code) from None
    except (FleetError, ProviderDied, ValkeyError, LimnerError) as error:
        console.print(str(error), style="red", markup=False, soft_wrap=True)
        raise typer.Exit(1) from None
    raise typer.Exit(int(failed))


def _free(console: Console, out: Path, images: Path) -> bool:
    console.print(
        "Starting Valkey, a stand-in for kie.ai, a worker, beat and callbacks, on this machine alone …"
    )
    provider = SandboxProvider(speed=SPEED, tail=0.0)
    settings = {**PLAY_SETTINGS, "LIMNER_COPY_TO": _place(images)}
    with LocalFleet(beat=True, callbacks=True, provider=provider, settings=settings) as fleet:
        began = time.monotonic()
        all_ended = play(console, fleet, provider)
        took = time.monotonic() - began
        with httpx.Client(trust_env=False) as client:  # a proxy would lead out of this machine
            failed = _report(console, all_ended, client, "Limner, drawn by the stand-in", out, images)
        attempts = provider.summary()["calls"]["createTask"]
    refusals = sum(count for code, count in attempts.items() if code != "200")
    console.print(
        f"{sum(attempts.values())} requests to createTask, {refusals} of them refused and repeated; "
        f"{took:.0f} s in all. The stand-in is {SPEED:.0f} times as fast as the real provider."
    )
    return failed or _incomplete(console, all_ended)


def _paid(console: Console, settings: Mapping[str, str], out: Path, images: Path, yes: bool) -> bool:
    question = (
        f"LIMNER_API_KEY is set: this sends {len(PAID)} small TURBO jobs to the real provider, "
        f"about {3.5 * len(PAID)} credits. Go on?"
    )
    if not yes:
        if not sys.stdin.isatty():
            console.print("LIMNER_API_KEY is set, so the demo would spend credits: say --yes, or unset it.")
            raise typer.Exit(2)
        typer.confirm(question, abort=True)
    # The contact sheet shows files of this machine, so they are not copied to a store of the user's.
    copying = {"LIMNER_COPY_TO": _place(images), "LIMNER_COPY_URL": ""}
    with LocalFleet(settings={**settings, **copying}) as fleet:
        all_ended = with_credits(console, fleet)
        with httpx.Client() as client:
            return _report(console, all_ended, client, "Limner", out, images)


def _place(images: Path) -> str:
    return f"file://{images.resolve()}"


def _report(
    console: Console, all_ended: list[Ended], client: httpx.Client, heading: str, out: Path, images: Path
) -> bool:
    console.print(results(all_ended))
    for error in (each.error for each in all_ended if each.error):
        console.print(f"{type(error).__name__}: {error}\n", style="yellow", markup=False)
    problems = [*surprises(all_ended), *write_sheet(out, all_ended, client, heading)]
    console.print("Contact sheet:", out.resolve().as_uri(), style="bold", soft_wrap=True)
    console.print("Copies of the images:", images.resolve().as_uri(), soft_wrap=True)
    for problem in problems:
        console.print(problem, style="red", markup=False)
    return bool(problems)


def _incomplete(console: Console, all_ended: list[Ended]) -> bool:
    missing = [source for source in Source if source not in {each.watched.order.source for each in all_ended}]
    for source in missing:
        console.print(f"No job of {source} was seen.", style="red")
    return bool(missing)


if __name__ == "__main__":
    typer.run(main)
