"""The properties of messages, also of those that plain Celery cannot read."""

import pytest
from amqp.serialization import PROPERTY_CLASSES
from amqp.spec import Basic

from worker.rabbitmq.properties import install, properties_of


def test_properties_that_cannot_be_read_are_none(caplog: pytest.LogCaptureFixture) -> None:
    # Flags for a content type alone, which is two bytes that are no UTF-8.
    broken = b"\x80\x00\x02\xff\xfe"
    assert properties_of(broken, 0) == ({}, len(broken))
    assert "UnicodeDecodeError" in caplog.text


def test_properties_that_can_be_read_are_those_of_the_library() -> None:
    sound = b"\x80\x00\x04text"
    assert properties_of(sound, 0) == ({"content_type": "text"}, len(sound))


def test_a_process_reads_properties_in_this_way() -> None:
    install()
    assert PROPERTY_CLASSES[Basic.CLASS_ID] is properties_of
