"""``make demo``, as a user starts and stops it."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import pytest
from PIL import Image

from sandbox.kie.server import SandboxProvider
from sandbox.local.fleet import CHECKOUT
from tests.processes import MARK, running_for, wait_until


class Demo:
    """A run of the demo with its own temporary folder."""

    def __init__(self, folder: Path, *arguments: str, **settings: str) -> None:
        self.folder = folder
        self.temporary = folder / "tmp"
        self.temporary.mkdir()
        self.sheet = folder / "sheets" / "sheet.html"
        self.images = folder / "my images"
        self.log = folder / "demo.log"
        with self.log.open("wb") as output:
            self.process = subprocess.Popen(
                [*self.command(), *arguments],
                cwd=CHECKOUT,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env={
                    **os.environ,
                    "LIMNER_API_KEY": "",  # a developer's own key would spend credits
                    "LIMNER_REDIS_URL": "",
                    MARK: str(folder),
                    "TMPDIR": str(self.temporary),
                    "COLUMNS": "200",
                    **settings,
                },
            )

    def command(self) -> list[str]:
        places = ["--out", str(self.sheet), "--images", str(self.images)]
        return [sys.executable, "-m", "examples.demo", *places]

    @property
    def output(self) -> str:
        return self.log.read_text()

    def ended(self) -> int:
        return self.process.wait(100)

    def wait_for(self, word: str) -> None:
        wait_until(lambda: word in self.output or self.process.poll() is not None, 60)
        assert word in self.output

    def left_behind(self) -> list[object]:
        return [*running_for(self.folder), *self.temporary.iterdir()]


class Page(HTMLParser):
    """The links and the pictures of a page."""

    def __init__(self, sheet: Path) -> None:
        super().__init__()
        self.links: list[str] = []
        self.sources: list[str] = []
        self.feed(sheet.read_text())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag == "a":
            self.links.append(given["href"] or "")
        if tag == "img":
            self.sources.append(given["src"] or "")


def copies(images: Path) -> Iterator[Path]:
    """The copied images, without what Limner keeps beside them."""
    for path in images.rglob("*"):
        if path.is_file() and ".limner" not in path.parts and not path.name.endswith(".thumb.webp"):
            yield path


def test_the_demo_shows_every_kind_of_job_and_leaves_nothing_behind(tmp_path: Path) -> None:
    demo = Demo(tmp_path)
    assert demo.ended() == 0, demo.output
    assert "attempt 2" in demo.output
    assert "ModerationRefused: The task failed" in demo.output
    text = demo.sheet.read_text()
    assert "by&nbsp;plain&nbsp;Celery" in text
    assert "by&nbsp;the&nbsp;schedule" in text
    assert "all copied" in text
    assert demo.left_behind() == []

    # The page and the images can be moved together, and then need nothing else.
    page = Page(demo.sheet)
    assert len(page.sources) >= 15
    assert {source.partition(",")[0] for source in page.sources} == {"data:image/webp;base64"}
    moved = demo.folder.rename(tmp_path.with_name(f"{tmp_path.name} moved"))
    assert str(tmp_path) not in text
    opened = {(moved / "sheets" / unquote(link)).resolve() for link in page.links}
    assert len(opened) == len(page.links) == len(page.sources)
    assert opened <= set(copies(moved / demo.images.name))  # the schedule submits more than is shown
    for path in opened:
        with Image.open(path) as image:
            image.load()


@pytest.mark.parametrize(
    ("number", "moment"),
    [(signal.SIGINT, "Starting"), (signal.SIGTERM, "generating"), (signal.SIGINT, "succeeded")],
)
def test_a_signal_stops_the_whole_demo(tmp_path: Path, number: signal.Signals, moment: str) -> None:
    demo = Demo(tmp_path)
    demo.wait_for(moment)
    demo.process.send_signal(number)
    assert demo.ended() == 128 + number, demo.output
    assert demo.left_behind() == []
    assert "Traceback" not in demo.output


def test_no_process_outlives_a_killed_demo(tmp_path: Path) -> None:
    demo = Demo(tmp_path)
    demo.wait_for("generating")
    demo.process.kill()
    demo.ended()
    wait_until(lambda: not running_for(tmp_path))


def test_the_demo_spends_no_credits_without_consent(tmp_path: Path) -> None:
    with SandboxProvider(speed=20) as provider:
        demo = Demo(tmp_path, LIMNER_API_KEY="sandbox-key", LIMNER_API_URL=provider.url)
        assert demo.ended() == 2
        assert "--yes" in demo.output
        assert provider.summary()["calls"] == {}


def test_with_a_key_and_yes_the_demo_buys_three_small_images(tmp_path: Path) -> None:
    with SandboxProvider(speed=20) as provider:
        demo = Demo(
            tmp_path,
            "--yes",
            LIMNER_API_KEY="sandbox-key",
            LIMNER_API_URL=provider.url,
            LIMNER_COPY_TO="s3://a-bucket-of-the-user",
            LIMNER_COPY_PLAIN_HOSTS="127.0.0.1",
        )
        assert demo.ended() == 0, demo.output
        bought = [task["input"] for task in provider.ledger()]
        assert [(task["rendering_speed"], task["image_size"]) for task in bought] == [("TURBO", "square")] * 3
    assert demo.left_behind() == []
    assert len(list(copies(demo.images))) == len(Page(demo.sheet).links) == 3


def test_images_that_are_not_copied_in_time_are_shown_from_the_provider(tmp_path: Path) -> None:
    with SandboxProvider(speed=20) as provider:
        # Without a word about plain hosts, workers fetch nothing from this machine.
        demo = Demo(
            tmp_path,
            "--yes",
            LIMNER_API_KEY="sandbox-key",
            LIMNER_API_URL=provider.url,
            LIMNER_COPY_PATIENCE_SECONDS="0.5",
        )
        assert demo.ended() == 0, demo.output
    assert "1 image, not copied in time" in demo.output
    assert "3 images were not copied in time" in demo.sheet.read_text()
    page = Page(demo.sheet)
    assert page.links == []
    assert [source.partition(",")[0] for source in page.sources] == ["data:image/png;base64"] * 3
    assert list(copies(demo.images)) == []
