"""``submit``: hand a prompt to the fleet."""

import json
import sys
from typing import Annotated, Any, Final

import typer
from pydantic import ValidationError

from limner.cli.exits import ExitCode
from limner.cli.jobs import deliver
from limner.cli.session import Session
from limner.configuration import DAY, Durability
from limner.errors import InvalidRequest
from limner.models import MAX_PROMPT_LENGTH, ImageSize, RenderingSpeed, Style, TextToImage, faults
from limner.options import HIGHEST_PRIORITY, SubmitOptions

_DEFAULTS: Final = TextToImage(prompt="any")
_OPTIONS: Final = SubmitOptions()
_MOST_BYTES: Final = 3 * MAX_PROMPT_LENGTH
"""No UTF-16 unit takes more than three bytes of UTF-8."""


def submit(
    session: Session,
    prompt: Annotated[
        str, typer.Argument(metavar="PROMPT", help="What to draw; - reads it from standard input.")
    ],
    negative_prompt: Annotated[str | None, typer.Option(help="What to leave out.")] = None,
    rendering_speed: Annotated[
        RenderingSpeed, typer.Option(case_sensitive=False, help="The price goes with it.")
    ] = _DEFAULTS.rendering_speed,
    style: Annotated[Style | None, typer.Option(case_sensitive=False, help="Not with --style-code.")] = None,
    style_code: Annotated[
        list[str] | None, typer.Option(help="Eight hexadecimal digits; may be repeated, up to 16 times.")
    ] = None,
    expand_prompt: Annotated[
        bool, typer.Option(help="Let the provider rewrite the prompt.")
    ] = _DEFAULTS.expand_prompt,
    image_size: Annotated[
        ImageSize, typer.Option(case_sensitive=False, help="The form of the image.")
    ] = _DEFAULTS.image_size,
    num_images: Annotated[
        int, typer.Option(help="1 to 4; the provider may deliver fewer.")
    ] = _DEFAULTS.num_images,
    seed: Annotated[int | None, typer.Option(help="0 to 2147483647.")] = None,
    idempotency_key: Annotated[
        str | None, typer.Option(help="The same key gives the same job, however often it is submitted.")
    ] = None,
    idempotency_seconds: Annotated[
        float,
        typer.Option(
            help="For how long after the job's end its key leads to it.", envvar="LIMNER_IDEMPOTENCY_SECONDS"
        ),
    ] = DAY,
    namespace: Annotated[
        str, typer.Option(help="Keeps keys and lanes apart from those of others.", envvar="LIMNER_NAMESPACE")
    ] = "",
    priority: Annotated[
        int, typer.Option(min=0, max=HIGHEST_PRIORITY, help="The highest first.")
    ] = _OPTIONS.priority,
    lane: Annotated[
        str | None, typer.Option(help="Lanes of one priority share the turns, such as one a tenant.")
    ] = None,
    account: Annotated[
        str | None, typer.Option(help="The provider's account; the one with the most room by default.")
    ] = None,
    expires_in: Annotated[
        float | None, typer.Option(help="Seconds within which it is sent, or not at all.")
    ] = None,
    copy: Annotated[
        bool, typer.Option(help="Copy the images, in a fleet that copies images.")
    ] = _OPTIONS.copied,
    copy_to: Annotated[
        str | None, typer.Option(metavar="FOLDER", help="The images' folder under the fleet's prefix.")
    ] = None,
    metadata: Annotated[
        str | None, typer.Option(help="A JSON object that comes back with the result.")
    ] = None,
    wait: Annotated[bool, typer.Option("--wait", help="Stay until the job has ended.")] = False,
    timeout: Annotated[
        float | None, typer.Option(min=0, help="For at most so many seconds; implies --wait.")
    ] = None,
    durability: Annotated[
        Durability, typer.Option(envvar="LIMNER_DURABILITY", help="What the submit waits for.")
    ] = Durability.SERVER,
) -> ExitCode:
    """Submit a prompt, and print the job's id.

    With --wait, the URLs of its images follow, one a line.
    """
    try:
        request = TextToImage(
            prompt=_from_standard_input() if prompt == "-" else prompt,
            negative_prompt=negative_prompt,
            rendering_speed=rendering_speed,
            style=style,
            style_codes=style_code or None,
            expand_prompt=expand_prompt,
            image_size=image_size,
            num_images=num_images,
            seed=seed,
        )
    except ValidationError as error:
        raise InvalidRequest("; ".join(faults(error))) from None
    with session.client(
        namespace=namespace, idempotency_seconds=idempotency_seconds, durability=durability
    ) as limner:
        job = limner.submit(
            request,
            idempotency_key=idempotency_key,
            priority=priority,
            metadata=_metadata(metadata),
            lane=lane,
            account=account,
            expires_in=expires_in,
            copy=copy,
            copy_to=copy_to,
        )
        session.out.say({"job_id": job.id}, job.id)
        return deliver(session, job, timeout) if wait or timeout is not None else ExitCode.OK


def _from_standard_input() -> str:
    text = sys.stdin.buffer.read(_MOST_BYTES + len("\r\n") + 1)
    if len(text) > _MOST_BYTES + len("\r\n"):
        raise InvalidRequest(f"prompt: at most {MAX_PROMPT_LENGTH} UTF-16 units, standard input has more")
    try:
        return text.decode().removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError:
        raise InvalidRequest("prompt: standard input is not UTF-8") from None


def _metadata(text: str | None) -> dict[str, Any] | None:
    if text is None:
        return None
    try:
        metadata = json.loads(text, object_pairs_hook=_object)
    except (ValueError, RecursionError) as error:
        raise InvalidRequest(f"metadata: not JSON ({error})") from None
    if not isinstance(metadata, dict):
        raise InvalidRequest("metadata: must be a JSON object")
    return metadata


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("an object has the same key twice")
    return found
