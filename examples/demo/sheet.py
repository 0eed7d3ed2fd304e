"""The contact sheet: one HTML file that holds its pictures, so it can be kept, moved and sent."""

from collections.abc import Iterator, Sequence
from html import escape
from pathlib import Path
from string import Template
from typing import Final

import httpx

from examples.demo.jobs import Ended
from examples.demo.orders import Source
from examples.demo.pictures import Picture, PictureError, fetch

__all__ = ["write_sheet"]

TEMPLATE: Final = Path(__file__).with_name("sheet.html")
_BY: Final = {Source.CELERY: "plain Celery", Source.BEAT: "the schedule"}


def write_sheet(path: Path, all_ended: Sequence[Ended], client: httpx.Client, heading: str) -> list[str]:
    """Fetch the images and write the page; returns what went wrong, a line for each image."""
    problems: list[str] = []
    pictures_first = sorted(all_ended, key=lambda each: each.images is None)
    cards = [card for each in pictures_first for card in _cards(each, client, problems)]
    images = sum(len(each.images.urls) for each in all_ended if each.images)
    spent = sum(each.images.credits or 0 for each in all_ended if each.images)
    page = Template(TEMPLATE.read_text(encoding="utf-8")).substitute(
        heading=escape(heading),
        summary=f"{len(all_ended)} jobs · {images} images · {spent} credits",
        cards="\n".join(cards),
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(page, encoding="utf-8")
    return problems


def _cards(each: Ended, client: httpx.Client, problems: list[str]) -> Iterator[str]:
    if each.images is None:
        yield _card(each, _missing(type(each.error).__name__, _said(each)), 0.75)
        return
    for number, url in enumerate(each.images.urls, 1):
        try:
            picture = fetch(client, url)
        except PictureError as error:
            problems.append(f"{each.watched.order.request.prompt}: {error}")
            yield _card(each, _missing("No picture", str(error)), 1.0, number)
        else:
            yield _card(each, _image(each, picture), picture.width / picture.height, number)


def _said(each: Ended) -> str:
    return f"{each.error.message} {each.error.advice}" if each.error else "The job had not ended in time."


def _image(each: Ended, picture: Picture) -> str:
    prompt = escape(each.watched.order.request.prompt, quote=True)
    return f'<img src="{picture.data_uri}" alt="{prompt}" width="{picture.width}" height="{picture.height}">'


def _missing(title: str, text: str) -> str:
    return f'<div class="missing"><strong>{escape(title)}</strong><p>{escape(text)}</p></div>'


def _card(each: Ended, content: str, shape: float, number: int = 1) -> str:
    prompt = escape(each.watched.order.request.prompt)
    facts = " · ".join(escape(fact).replace(" ", "&nbsp;") for fact in _facts(each, number))
    return (
        f'<figure style="--shape:{shape:.4f}"><div class="frame">{content}</div>'
        f"<figcaption><b>{prompt}</b><span>{facts}</span></figcaption></figure>"
    )


def _facts(each: Ended, number: int) -> Iterator[str]:
    request = each.watched.order.request
    yield request.rendering_speed.lower()
    if request.style:
        yield request.style.lower()
    if each.images and len(each.images.urls) > 1:
        yield f"{number} of {len(each.images.urls)}"
    if request.seed is not None:
        yield f"seed {request.seed}"
    if each.seconds_generating is not None and each.images:
        yield f"{each.seconds_generating:.1f} s"
    if each.images and each.images.credits is not None:
        together = " for all" if len(each.images.urls) > 1 else ""
        yield f"{each.images.credits} credits{together}"
    if each.watched.order.source in _BY:
        yield f"by {_BY[each.watched.order.source]}"
