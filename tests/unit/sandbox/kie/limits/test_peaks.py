from sandbox.kie.limits.peaks import Peak


def most(times: list[float], length: float) -> int:
    peak = Peak(length)
    for at in times:
        peak.add(at)
    return peak.most


def test_the_window_slides_across_a_full_second() -> None:
    assert most([0.0, 0.9, 1.1, 1.8, 2.95], 1.0) == 3


def test_two_events_a_whole_window_apart_share_no_window() -> None:
    assert most([0.0, 1.0, 2.0], 1.0) == 1


def test_a_quiet_time_does_not_lower_the_peak() -> None:
    assert most([0.0, 0.1, 50.0], 1.0) == 2
