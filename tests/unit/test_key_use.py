"""Keys are used one after the other; a link is down when there is none."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator.build.loading import ExperimentError, read
from emulator.config.applications import AES_MOST_BYTES, Cipher, KeyUse
from emulator.results.ledger import down_s

Write = Callable[..., Path]


@pytest.mark.parametrize(
    ("arrivals", "demanded", "expected_s"),
    [
        ([], 0, 0.0),  # who needs nothing is never down
        ([], 3, 60.0),
        ([(0.0, 3)], 3, 0.0),
        ([(0.0, 2)], 3, 20.0),  # the third key never comes
        ([(0.0, 2), (30.0, 1)], 3, 0.0),  # it comes while the second is in use
        ([(0.0, 2), (50.0, 1)], 3, 10.0),  # it comes ten seconds late
        ([(45.0, 3)], 3, 45.0),  # then the period is over before they are used up
    ],
)
def test_a_link_is_down_from_the_end_of_one_key_to_the_coming_of_the_next(
    arrivals: list[tuple[float, int]], demanded: int, expected_s: float
) -> None:
    assert down_s(arrivals, demanded, 60.0) == pytest.approx(expected_s)


@pytest.mark.parametrize(
    ("arrivals", "expected_s"),
    [
        ([(0.0, 4)], 0.0),
        ([(0.0, 3)], 30.0),  # half a key opens nothing
        ([(0.0, 3), (40.0, 1)], 10.0),
        ([(10.0, 1), (20.0, 1)], 30.0),  # the second key never comes
    ],
)
def test_a_key_of_two_units_is_there_when_its_last_unit_is(
    arrivals: list[tuple[float, int]], expected_s: float
) -> None:
    assert down_s(arrivals, 4, 60.0, units_per_key=2) == pytest.approx(expected_s)
    assert down_s([(0.0, 3)], 3, 60.0, units_per_key=2) == 0.0  # all that was demanded is there


@given(
    st.lists(st.tuples(st.floats(0, 60), st.integers(1, 3)), max_size=5),
    st.integers(1, 10),
    st.floats(0, 60),
    st.integers(1, 3),
)
def test_more_key_never_means_more_time_down(
    arrivals: list[tuple[float, int]], demanded: int, at_s: float, size: int
) -> None:
    before = down_s(arrivals, demanded, 60.0, size)
    assert 0 <= down_s([*arrivals, (at_s, 1)], demanded, 60.0, size) <= before + 1e-9
    assert before <= 60.0 + 1e-9


def test_a_one_time_pad_carries_its_own_length_and_aes_what_its_rate_gives() -> None:
    assert KeyUse(cipher=Cipher.ONE_TIME_PAD).data_bits(5, 60.0, 256) == 5 * 256
    assert KeyUse(data_bps=1e6).data_bits(5, 60.0, 256) == 6e7
    assert KeyUse().data_bits(5, 60.0, 256) is None


def test_a_key_encrypts_at_most_64_gib() -> None:
    most_bps = 8 * AES_MOST_BYTES / 60.0
    assert KeyUse(data_bps=most_bps).problem(256, 60.0) == ""
    assert "at most 64 GiB" in KeyUse(data_bps=1.01 * most_bps).problem(256, 60.0)


@pytest.mark.parametrize(
    ("applications", "keys", "words"),
    [
        ({"hologram": {}}, {}, "applications.hologram: no request is of this class"),
        ({"avatar": {}}, {"unit_bits": 128}, "aes-256-gcm takes keys of 256 bits"),
        ({"avatar": {"key_bits": 512}}, {}, "aes-256-gcm takes keys of 256 bits, not 512"),
        (
            {"avatar": {"cipher": "one-time-pad", "key_bits": 300}},
            {},
            "a multiple of keys.unit_bits",
        ),
        ({"avatar": {"data_bps": 1e12}}, {}, "at most 64 GiB"),
        ({"avatar": {"cipher": "one-time-pad", "data_bps": 9}}, {}, "data_bps: leave it out"),
        ({"avatar": {"cipher": "rot13"}}, {}, "aes-256-gcm"),
    ],
)
def test_an_impossible_use_of_keys_is_refused(
    write_experiment: Write,
    applications: dict[str, dict[str, object]],
    keys: dict[str, int],
    words: str,
) -> None:
    path = write_experiment(applications=applications, keys=keys)
    with pytest.raises(ExperimentError, match=words):
        read(str(path))
