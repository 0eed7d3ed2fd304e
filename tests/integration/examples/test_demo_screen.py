"""The colours of the demo's screen."""

from examples.demo.screen import COLOURS
from limner import JobState


def test_every_state_of_a_job_has_a_colour() -> None:
    assert COLOURS.keys() == set(JobState)
