"""The options of Celery that follow from the settings."""

import importlib.util

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
    assert "broker_transport_options" not in celery_options(load_with(BROKER_URL="amqp://user@host//"))


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
