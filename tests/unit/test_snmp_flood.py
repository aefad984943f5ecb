"""A sender that floods is not heard; others still are."""

from __future__ import annotations

import pytest

pytest.importorskip("pysnmp")

from emulator.management.flood import ALL_PER_S, SENDER_PER_S, Pace


class _Clock:
    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def test_of_5000_messages_in_a_second_a_sender_has_its_share_read_and_another_all() -> None:
    clock = _Clock()
    pace = Pace(clock)
    read = 0
    for number in range(5 * 5_000):
        clock.now_s = number / 5_000
        read += pace.allows("flood")
        if number % 100 == 0:
            assert pace.allows("operator")
    assert read == pytest.approx(SENDER_PER_S * (5 + 2), abs=2)
    assert pace.dropped == 5 * 5_000 - read


def test_many_senders_together_have_no_more_than_all_may() -> None:
    clock = _Clock()
    pace = Pace(clock)
    read = 0
    for number in range(5 * 20_000):
        clock.now_s = number / 20_000
        read += pace.allows(number % 1_000)
    assert read == pytest.approx(ALL_PER_S * (5 + 2), abs=2)
