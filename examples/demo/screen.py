"""The display of the demo: a live table on a terminal, plain lines elsewhere."""

from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Protocol, Self

from rich import box
from rich.console import Console
from rich.live import Live
from rich.markup import escape
from rich.table import Table

from examples.demo.jobs import Ended, Watched, seconds_since_submission
from limner import JobState, JobStatus

__all__ = ["Screen", "results", "screen_for"]

Statuses = Sequence[tuple[Watched, JobStatus | None]]

COLOURS: Mapping[JobState, str] = {
    JobState.QUEUED: "yellow",
    JobState.SENDING: "cyan",
    JobState.IN_DOUBT: "magenta",
    JobState.GENERATING: "blue",
    JobState.COPYING: "bright_cyan",
    JobState.SUCCEEDED: "green",
    JobState.FAILED: "red",
    JobState.CANCELLED: "red",
    JobState.EXPIRED: "red",
}


class Screen(Protocol):
    """Shows the status of the jobs."""

    def show(self, statuses: Statuses) -> None: ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


def screen_for(console: Console) -> Screen:
    """A live table on a terminal, plain lines elsewhere."""
    return LiveScreen(console) if console.is_terminal else PlainScreen(console)


class LiveScreen:
    """A table, redrawn in place. It disappears when the jobs have ended, because the results follow."""

    def __init__(self, console: Console) -> None:
        self._live = Live(console=console, auto_refresh=False, transient=True)

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.stop()

    def show(self, statuses: Statuses) -> None:
        self._live.update(_progress(statuses), refresh=True)


class PlainScreen:
    """A line for each change of a job's state or attempts."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._shown: dict[str, tuple[JobState, int]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass

    def show(self, statuses: Statuses) -> None:
        for watched, status in statuses:
            if status is None or self._shown.get(watched.job.id) == (status.state, status.attempts):
                continue
            self._shown[watched.job.id] = (status.state, status.attempts)
            attempt = f", attempt {status.attempts}" if status.attempts > 1 else ""
            why = f" ({status.last_error})" if status.last_error and status.state is JobState.QUEUED else ""
            self._console.print(
                f"{seconds_since_submission(status):5.1f} s  {status.state:10}  "
                f"{_short(watched)}{attempt}{why}",
                markup=False,
                highlight=False,
                soft_wrap=True,
            )


def _progress(statuses: Statuses) -> Table:
    done = sum(status is not None and status.state.ended for _, status in statuses)
    table = Table(
        box=box.SIMPLE_HEAD, title=f"{done} of {len(statuses)} jobs have ended", title_justify="left"
    )
    table.add_column("Prompt", no_wrap=True, overflow="ellipsis", ratio=3)
    table.add_column("By", no_wrap=True)
    table.add_column("State", no_wrap=True, min_width=10)
    table.add_column("Attempts", justify="right")
    table.add_column("Polls", justify="right")
    table.add_column("Seconds", justify="right")
    table.add_column("Last refusal", no_wrap=True, overflow="ellipsis", ratio=2, style="dim")
    table.expand = True
    for watched, status in statuses:
        prompt, source = escape(watched.order.request.prompt), watched.order.source.value
        if status is None:
            table.add_row(prompt, source, "[dim]sent[/]", "", "", "", "")
            continue
        table.add_row(
            prompt,
            source,
            f"[{COLOURS[status.state]}]{status.state}[/]",
            str(status.attempts or ""),
            str(status.polls or ""),
            f"{seconds_since_submission(status):.1f}",
            escape(status.last_error or ""),
        )
    return table


def results(all_ended: Sequence[Ended]) -> Table:
    """The table at the end."""
    table = Table(box=box.SIMPLE_HEAD, expand=True, title="How it went", title_justify="left")
    table.add_column("Prompt", no_wrap=True, overflow="ellipsis", ratio=3)
    table.add_column("Outcome", ratio=2, no_wrap=True, overflow="ellipsis")
    table.add_column("Attempts", justify="right")
    table.add_column("Queued", justify="right")
    table.add_column("Drawn in", justify="right")
    table.add_column("Credits", justify="right")
    for each in all_ended:
        table.add_row(
            escape(each.watched.order.request.prompt),
            _outcome(each),
            str(each.status.attempts) if each.status else "",
            _seconds(each.seconds_queued),
            _seconds(each.seconds_generating),
            f"{each.images.credits}" if each.images and each.images.credits is not None else "-",
        )
    table.show_footer = True
    spent = sum(each.images.credits or 0 for each in all_ended if each.images)
    table.columns[0].footer = f"{len(all_ended)} jobs"
    table.columns[-1].footer = f"{spent}"
    return table


def _outcome(each: Ended) -> str:
    if each.error is not None:
        text = f"{type(each.error).__name__}: {each.error.message}"
        return f"[{'yellow' if each.as_expected else 'red'}]{escape(text)}[/]"
    if each.images is None:
        return "[red]not in time[/]"
    count = len(each.images.urls)
    said = f"{count} image{'s' if count > 1 else ''}{'' if each.images.copied else ', not copied in time'}"
    colour = "red" if not each.as_expected else "green" if each.images.copied else "yellow"
    return f"[{colour}]{said}[/]"


def _seconds(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f} s"


def _short(watched: Watched, width: int = 48) -> str:
    prompt = watched.order.request.prompt
    return prompt if len(prompt) <= width else f"{prompt[: width - 1]}…"
