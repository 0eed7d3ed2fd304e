"""The contact sheet: one HTML file that holds small pictures, each of which links to its copy."""

import os
from collections.abc import Iterator, Sequence
from html import escape
from pathlib import Path
from string import Template
from typing import Final
from urllib.parse import quote

import httpx

from examples.demo.jobs import Ended
from examples.demo.orders import Source
from examples.demo.pictures import Picture, PictureError, fetch, path_of, thumbnail_of
from limner import ImageFile

__all__ = ["write_sheet"]

TEMPLATE: Final = Path(__file__).with_name("sheet.html")
_BY: Final = {Source.CELERY: "plain Celery", Source.BEAT: "the schedule"}


def write_sheet(path: Path, all_ended: Sequence[Ended], client: httpx.Client, heading: str) -> list[str]:
    """Write the page; returns what went wrong, a line for each image.

    What it shows is a part of it. Links to copies are relative, so the page and the copies can be moved
    together. Images that were not copied in time are fetched from the provider.
    """
    problems: list[str] = []
    pictures_first = sorted(all_ended, key=lambda each: each.images is None)
    folder = path.resolve().parent
    cards = [card for each in pictures_first for card in _cards(each, client, folder, problems)]
    images = sum(len(each.images.urls) for each in all_ended if each.images)
    spent = sum(each.images.credits or 0 for each in all_ended if each.images)
    page = Template(TEMPLATE.read_text(encoding="utf-8")).substitute(
        heading=escape(heading),
        summary=f"{len(all_ended)} jobs · {images} images · {spent} credits · {_copied(all_ended)}",
        cards="\n".join(cards),
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(page, encoding="utf-8")
    return problems


def _copied(all_ended: Sequence[Ended]) -> str:
    uncopied = sum(len(each.images.urls) for each in all_ended if each.images and not each.images.copied)
    if uncopied:
        return f"{uncopied} images were not copied in time, and are shown from the provider"
    return "all copied: each picture opens its file"


def _cards(each: Ended, client: httpx.Client, folder: Path, problems: list[str]) -> Iterator[str]:
    if each.images is None:
        yield _card(each, _missing(type(each.error).__name__, _said(each)), 1.0)
        return
    copies = each.images.files if each.images.copied else [None] * len(each.images.urls)
    for number, (url, file) in enumerate(zip(each.images.urls, copies, strict=True), 1):
        try:
            picture = thumbnail_of(file) if file else fetch(client, url)
        except PictureError as error:
            problems.append(f"{each.watched.order.request.prompt}: {error}")
            yield _card(each, _missing("No picture", str(error)), 1.0, number)
        else:
            shown = _image(each, picture)
            content = _linked(shown, file, folder) if file else shown
            yield _card(each, content, picture.width / picture.height, number)


def _said(each: Ended) -> str:
    return f"{each.error.message} {each.error.advice}" if each.error else "The job had not ended in time."


def _image(each: Ended, picture: Picture) -> str:
    prompt = escape(each.watched.order.request.prompt, quote=True)
    return f'<img src="{picture.data_uri}" alt="{prompt}" width="{picture.width}" height="{picture.height}">'


def _linked(content: str, file: ImageFile, folder: Path) -> str:
    link = quote(os.path.relpath(path_of(file.url), folder))
    return f'<a href="{link}" title="{file.width} by {file.height} pixels, {file.size:,} bytes">{content}</a>'


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
    if each.images and not each.images.copied:
        yield "not copied in time"
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
