"""The options of Celery that follow from the settings."""

import importlib.util
import ssl

import pytest
from celery.app.defaults import DEFAULTS

from config.celery_options import celery_options
from tests.unit.config.conftest import Loader


def test_celery_lists_every_option_but_one_that_its_backends_ask_for(load_with: Loader) -> None:
    assert set(celery_options(load_with())) - set(DEFAULTS) == {"result_backend_thread_safe"}


@pytest.mark.parametrize("url", ["redis://127.0.0.1/1", "unix:///run/redis.sock"])
def test_a_redis_that_hangs_hangs_no_publish(load_with: Loader, url: str) -> None:
    options = celery_options(load_with(BROKER_URL=url, REDIS_TIMEOUT_SECONDS="3"))
    transport = options["broker_transport_options"]
    assert transport["socket_timeout"] == 3.0


def test_another_broker_gets_no_options_of_redis(load_with: Loader) -> None:
    options = celery_options(load_with(BROKER_URL="amqp://user@host//"))["broker_transport_options"]
    assert options == {"confirm_publish": True, "confirm_seconds": 5.0}
    assert "broker_transport_options" not in celery_options(load_with(BROKER_URL="sqs://"))


def test_a_rabbitmq_that_hangs_hangs_nobody(load_with: Loader) -> None:
    options = celery_options(load_with(BROKER_URL="amqp://host", REDIS_TIMEOUT_SECONDS="3"))
    assert (
        options["broker_transport_options"]["confirm_seconds"] == options["broker_connection_timeout"] == 3.0
    )
    assert options["broker_heartbeat"] == 10


def test_a_certificate_is_checked(load_with: Loader) -> None:
    options = celery_options(load_with(BROKER_URL="amqps://host"))
    assert options["broker_use_ssl"] == {"cert_reqs": ssl.CERT_REQUIRED, "server_hostname": None}
    assert "broker_use_ssl" not in celery_options(load_with(BROKER_URL="amqp://host"))


@pytest.mark.parametrize(("kind", "intake"), [("classic", {}), ("quorum", {"x-queue-type": "quorum"})])
def test_steps_have_quorum_queues_and_producers_the_type_that_they_declare(
    load_with: Loader, kind: str, intake: object
) -> None:
    options = celery_options(load_with(BROKER_URL="amqp://host", INTAKE_QUEUE_TYPE=kind))
    quorum = {"x-queue-type": "quorum"}
    assert [queue.queue_arguments or {} for queue in options["task_queues"]] == [intake, quorum, quorum]


def test_queues_of_redis_have_no_arguments(load_with: Loader) -> None:
    queues = celery_options(load_with(INTAKE_QUEUE_TYPE="quorum"))["task_queues"]
    assert [queue.queue_arguments or {} for queue in queues] == [{}, {}, {}]


def test_results_are_kept_and_threads_made_as_the_settings_say(load_with: Loader) -> None:
    options = celery_options(load_with(RESULT_TTL_SECONDS="600", CONCURRENCY="7"))
    assert (options["result_expires"], options["worker_concurrency"]) == (600, 7)


def test_the_modules_of_the_steps_and_of_beat_exist(load_with: Loader) -> None:
    options = celery_options(load_with())
    modules = [*options["imports"], options["beat_scheduler"].partition(":")[0]]
    assert [name for name in modules if importlib.util.find_spec(name) is None] == []


def test_no_name_is_one_that_another_app_has_by_default(load_with: Loader) -> None:
    options = celery_options(load_with(PREFIX="shop"))
    names = [options[name] for name in ("task_default_queue", "event_exchange", "control_exchange")]
    names += [queue.name for queue in options["task_queues"]]
    names += [queue.exchange.name for queue in options["task_queues"]]
    transport = options["broker_transport_options"]
    names += [transport[name] for name in ("unacked_key", "unacked_index_key", "unacked_mutex_key")]
    names += [transport["bindings_prefix"], options["event_queue_prefix"]]
    assert [name for name in names if not name.startswith("shop")] == []
    assert transport["fanout_prefix"] == "/shop:{db}."


def test_producers_have_a_queue_and_the_steps_others(load_with: Loader) -> None:
    queues = celery_options(load_with(QUEUE="images"))["task_queues"]
    assert [queue.name for queue in queues] == ["images", "limner.steps", "limner.copies"]


def test_remote_control_is_off_unless_it_is_asked_for(load_with: Loader) -> None:
    assert celery_options(load_with())["worker_enable_remote_control"] is False
    assert celery_options(load_with(REMOTE_CONTROL="true"))["worker_enable_remote_control"] is True
