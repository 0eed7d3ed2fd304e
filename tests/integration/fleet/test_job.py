"""Jobs from the submit to the result or to each kind of failure, on real processes."""

import asyncio
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from limner import Images, JobFailed, Limner, TextToImage, errors
from limner.job import Cancellation
from sandbox.local.fleet import LocalFleet
from tests.integration.fleet.conftest import plain_celery

WAIT = 60.0


def created(fleet: LocalFleet, prompt: str) -> int:
    """The number of the provider's tasks for a prompt."""
    assert fleet.provider
    return len(fleet.provider.ledger(prompt=prompt))


def unique(text: str) -> str:
    return f"{text} {uuid.uuid4()}"


def test_a_job_returns_its_images(fleet: LocalFleet, limner: Limner) -> None:
    request = TextToImage(
        prompt=unique("a lighthouse"),
        negative_prompt="people",
        rendering_speed="TURBO",
        style="DESIGN",
        expand_prompt=False,
        image_size="landscape_16_9",
        num_images=3,
        seed=7,
    )
    job = limner.submit(request, metadata={"order": 7})
    images = job.result(WAIT)
    assert isinstance(images, Images)
    assert len(images.urls) == 3
    assert images.parameters == request
    assert images.metadata == {"order": 7}
    assert images.seed == 7
    assert images.credits is not None
    assert float(images.credits) == 10.5
    assert images.created_at <= images.sent_at <= images.finished_at
    assert datetime.now(UTC) - images.finished_at < timedelta(seconds=WAIT)
    assert fleet.provider
    [task] = fleet.provider.ledger(prompt=request.prompt)
    assert task["task_id"] == images.task_id
    assert task["input"] == {
        "prompt": request.prompt,
        "negative_prompt": "people",
        "rendering_speed": "TURBO",
        "style": "DESIGN",
        "expand_prompt": False,
        "image_size": "landscape_16_9",
        "num_images": "3",
        "seed": 7,
    }


def test_plain_celery_reads_the_same_result(fleet: LocalFleet, limner: Limner) -> None:
    job = limner.submit(unique("a kite"))
    images = job.result(WAIT)
    result = plain_celery(fleet.redis_url).AsyncResult(job.id).get(timeout=WAIT)
    assert Images.model_validate(result) == images


def test_a_hundred_waits_share_one_event_loop(limner: Limner, fleet: LocalFleet) -> None:
    async def backend() -> list[Images]:
        async with Limner(fleet.redis_url) as producer:
            jobs = [await producer.asubmit(unique(f"boat {number}")) for number in range(100)]
            return await asyncio.gather(*(job.wait(WAIT) for job in jobs))

    assert len({images.task_id for images in asyncio.run(backend())}) == 100


def test_a_failed_job_raises_its_own_error_everywhere(fleet: LocalFleet, limner: Limner) -> None:
    assert fleet.provider
    fleet.provider.faults(task_fail={"next": 1, "variant": "moderation"})
    job = limner.submit(unique("something forbidden"))
    with pytest.raises(errors.ModerationRefused) as refused:
        job.result(WAIT)
    assert refused.value.job_id == job.id
    assert refused.value.task_id
    assert refused.value.charged == "no"
    with pytest.raises(errors.ModerationRefused):
        asyncio.run(_wait(fleet, job.id))
    with pytest.raises(errors.ModerationRefused) as stored:
        plain_celery(fleet.redis_url).AsyncResult(job.id).get(timeout=WAIT)
    assert stored.value.details == refused.value.details


async def _wait(fleet: LocalFleet, job_id: str) -> Images:
    async with Limner(fleet.redis_url) as producer:
        return await producer.get(job_id).wait(WAIT)


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ("create_505", errors.FeatureDisabled),
        ("create_500_input", errors.RequestRejected),
        ("create_500_paused", errors.FeatureDisabled),
    ],
)
def test_a_permanent_refusal_is_not_retried(
    fleet: LocalFleet, limner: Limner, fault: str, error: type[JobFailed]
) -> None:
    assert fleet.provider
    fleet.provider.faults(**{fault: {"next": 1}})
    job = limner.submit(unique(fault))
    with pytest.raises(error) as refused:
        job.result(WAIT)
    assert refused.value.details["attempts"] == 1
    assert refused.value.safe_to_resend


@pytest.mark.parametrize("fault", ["create_429", "create_455", "create_500"])
def test_a_temporary_refusal_is_retried(fleet: LocalFleet, limner: Limner, fault: str) -> None:
    assert fleet.provider
    prompt = unique(fault)
    fleet.provider.faults(**{fault: {"next": 2}})
    job = limner.submit(prompt)
    job.result(WAIT)
    assert [entry.event for entry in job.log()].count("refused") == 2
    assert job.status().attempts == 3
    assert created(fleet, prompt) == 1


def test_the_final_error_contains_the_last_refusal(fleet: LocalFleet, limner: Limner) -> None:
    assert fleet.provider
    fleet.provider.faults(create_500=1.0)
    job = limner.submit(unique("never"))
    with pytest.raises(errors.AttemptsExhausted, match=r"all 3 attempts.*500") as exhausted:
        job.result(WAIT)
    assert exhausted.value.details["last_error"]["cause"] == "server_fault"
    assert exhausted.value.code == 500


@pytest.mark.parametrize(
    ("fault", "bought"),
    [
        ("drop_before_accept", 0),
        ("html_before", 0),
        ("unknown_code", 0),
        ("accept_then_drop", 1),
        ("html_after", 1),
        ("no_task_id", 1),
        ("truncated_json", 1),
        ("reset_mid_body", 1),
        ("slow_answer", 1),
    ],
)
def test_an_uncertain_answer_leaves_the_job_in_doubt_and_is_not_resent(
    fleet: LocalFleet, limner: Limner, fault: str, bought: int
) -> None:
    assert fleet.provider
    prompt = unique(fault)
    fleet.provider.faults(**{fault: {"next": 1, "seconds": 30}})
    job = limner.submit(prompt)
    with pytest.raises(errors.InDoubt) as doubt:
        job.result(WAIT)
    assert doubt.value.charged == "maybe"
    assert not doubt.value.safe_to_resend
    assert created(fleet, prompt) == bought
    assert job.status().attempts == 1


@pytest.mark.parametrize("fault", ["no_urls", "result_null", "result_invalid"])
def test_a_success_without_images_reports_its_charge(fleet: LocalFleet, limner: Limner, fault: str) -> None:
    assert fleet.provider
    fleet.provider.faults(**{fault: {"next": 1}})
    job = limner.submit(unique(fault))
    with pytest.raises(errors.NoImages) as imageless:
        job.result(WAIT)
    assert imageless.value.charged == "yes"
    assert "withheld" not in str(imageless.value)
    assert '"state":"success"' in (job.status().raw or "").replace(" ", "")


@pytest.mark.parametrize("fault", ["record_500", "record_html", "record_drop"])
def test_a_failed_poll_is_counted_and_does_not_fail_the_job(
    fleet: LocalFleet, limner: Limner, fault: str
) -> None:
    assert fleet.provider
    fleet.provider.faults(**{fault: {"next": 1}})
    job = limner.submit(unique(fault))
    assert job.result(WAIT).urls
    assert job.status().polls == 2


def test_a_missing_record_is_polled_again(fleet: LocalFleet, limner: Limner) -> None:
    assert fleet.provider
    fleet.provider.faults(record_null_seconds=4.0)
    job = limner.submit(unique("early"))
    assert job.result(WAIT).urls
    assert any("no record" in str(entry.detail.get("answer")) for entry in job.log())


def test_a_job_cancelled_before_its_request_is_never_sent(fleet: LocalFleet, limner: Limner) -> None:
    prompt = unique("changed my mind")
    limner.submit(unique("before")).result(WAIT)
    limner.pause()
    try:
        job = limner.submit(prompt)
        assert job.cancel() is Cancellation.BEFORE_SENDING
        with pytest.raises(errors.Cancelled):
            job.result(WAIT)
        with pytest.raises(errors.Cancelled):
            plain_celery(fleet.redis_url).AsyncResult(job.id).get(timeout=WAIT)
    finally:
        limner.resume()
    # A job that was submitted later has been sent. The cancelled one would have been sent before it.
    limner.submit(unique("after")).result(WAIT)
    assert created(fleet, prompt) == 0


class TestPlainProducers:
    """Celery apps that send ``limner.create_task`` by its name."""

    def send(self, fleet: LocalFleet, *args: Any, **kwargs: Any) -> Any:
        return plain_celery(fleet.redis_url).send_task(
            "limner.create_task", args=args, kwargs=kwargs, queue="limner"
        )

    def test_the_task_id_is_the_job_id(self, fleet: LocalFleet, limner: Limner) -> None:
        prompt = unique("from celery")
        result = self.send(fleet, prompt=prompt, priority=7, metadata={"shop": 3})
        images = Images.model_validate(result.get(timeout=WAIT))
        assert images.job_id == result.id
        assert images.metadata == {"shop": 3}
        assert limner.get(result.id).status().state == "succeeded"
        assert created(fleet, prompt) == 1

    @pytest.mark.parametrize(
        ("kwargs", "named"),
        [
            ({}, "prompt"),
            ({"prompt": ""}, "prompt"),
            ({"prompt": "a", "num_images": 5}, "num_images"),
            ({"prompt": "a", "num_images": "2"}, "num_images"),
            ({"prompt": "a", "style": "ANIME"}, "style"),
            ({"prompt": "a", "rendering_speed": "turbo"}, "rendering_speed"),
            ({"prompt": "a", "image_size": "huge"}, "image_size"),
            ({"prompt": "a", "colour": "red"}, "colour"),
            ({"prompt": "a", "priority": 10}, "priority"),
            ({"prompt": "a", "metadata": [1]}, "metadata"),
            ({"prompt": "a", "style": "AUTO", "style_codes": ["0123ABCD"]}, "style_codes"),
        ],
    )
    def test_an_invalid_argument_fails_with_the_field_s_name(
        self, fleet: LocalFleet, limner: Limner, kwargs: dict[str, Any], named: str
    ) -> None:
        result = self.send(fleet, **kwargs)
        with pytest.raises(errors.InvalidRequest, match=named):
            result.get(timeout=WAIT)
        assert result.state == "FAILURE"
        with pytest.raises(errors.UnknownJob):
            limner.get(result.id).status()

    def test_positional_arguments_are_refused(self, fleet: LocalFleet) -> None:
        with pytest.raises(errors.InvalidRequest, match="by name"):
            self.send(fleet, "a prompt").get(timeout=WAIT)

    def test_a_repeated_message_creates_one_job(self, fleet: LocalFleet) -> None:
        prompt = unique("twice")
        app, job_id = plain_celery(fleet.redis_url), str(uuid.uuid4())
        for _ in range(3):
            app.send_task("limner.create_task", kwargs={"prompt": prompt}, task_id=job_id, queue="limner")
        app.AsyncResult(job_id).get(timeout=WAIT)
        assert created(fleet, prompt) == 1


def test_the_log_does_not_contain_the_api_key(fleet: LocalFleet) -> None:
    assert fleet.provider
    key = min(fleet.provider.options.accepted_keys)
    assert fleet.workers[0].log.stat().st_size > 0
    assert key not in fleet.workers[0].log.read_text()


def test_plain_messages_with_arguments_like_a_step_s_fail(fleet: LocalFleet) -> None:
    app = plain_celery(fleet.redis_url)
    for args, kwargs in (([5], {}), ([], {"self": 1}), ([], {"prompt": "a", "lease": 1})):
        result = app.send_task("limner.create_task", args=args, kwargs=kwargs, queue="limner")
        with pytest.raises(errors.InvalidRequest):
            result.get(timeout=WAIT)
