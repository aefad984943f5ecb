"""Blocks that take several epochs to fill: what they are worth, and what voids them."""

from __future__ import annotations

from math import ceil, inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controllers.gathering import Gathering
from controllers.ports import LinkSample

KEY_BYTES = 32
NOTHING = LinkSample(0.0, 0.01, usable=False, block_s=inf)


def link(skr_bps: float = 1000.0, block_s: float = 150.0, qber: float = 0.01) -> LinkSample:
    """A link that fills a block in so long, and makes so much key on average."""
    return LinkSample(skr_bps, qber, skr_bps > 0, sifted_bps=1e5, block_s=block_s)


def played(
    samples: list[LinkSample], *, wanted: int = 100, wavelengths: int = 1, period_s: float = 60.0
) -> list[int]:
    """Return the units that each epoch has."""
    gathered = Gathering(wavelengths, wanted * KEY_BYTES, KEY_BYTES)
    made = []
    for sample in samples:
        gathered.add(sample, period_s, is_noisy=sample.qber > 0.11)
        made.append(gathered.take_bytes() // KEY_BYTES)
    return made


def test_there_is_no_key_before_a_block_is_full_and_from_then_on_the_mean_of_the_rate() -> None:
    assert played([link()] * 8) == [0, 0, 100, 100, 100, 100, 100, 100]


def test_a_block_that_is_full_within_an_epoch_changes_nothing() -> None:
    assert played([link(block_s=50.0)] * 4, wanted=1000) == [234] * 4  # 60 s of 1000 bit/s


def test_wavelengths_gather_blocks_of_their_own() -> None:
    assert played([link()] * 6, wavelengths=3, wanted=10**6) == [0, 0, 2109, 0, 0, 2109]


@given(
    st.floats(1, 1e6), st.floats(0.1, 5000), st.floats(1, 600), st.integers(1, 5), st.integers(1, 9)
)
def test_an_undisturbed_link_brings_its_mean_rate_from_its_first_block_on(
    skr_bps: float, block_s: float, period_s: float, wavelengths: int, rounds: int
) -> None:
    first = max(1, ceil(block_s / period_s - 1e-9))
    wanted = wavelengths * (int(skr_bps * period_s / 8) // KEY_BYTES)
    samples = [link(skr_bps, block_s)] * (first * (rounds + 1))

    made = played(samples, wanted=wanted, wavelengths=wavelengths, period_s=period_s)

    assert made[: first - 1] == [0] * (first - 1)
    assert made[first - 1 :] == [wanted] * (len(samples) - first + 1)


def test_a_dark_epoch_is_no_part_of_a_block_and_the_last_one_lasts_meanwhile() -> None:
    samples = [link()] * 4 + [NOTHING] * 3 + [link()] * 4
    assert played(samples) == [0, 0, 100, 100, 100, 0, 0, 0, 100, 100, 100]


@pytest.mark.parametrize("bad", [link(qber=0.2), link(skr_bps=0.0)])
def test_an_epoch_that_cannot_be_trusted_voids_what_was_gathered_and_not_what_was_distilled(
    bad: LinkSample,
) -> None:
    samples = [link()] * 4 + [bad] + [link()] * 4
    assert played(samples) == [0, 0, 100, 100, 100, 0, 0, 100, 100]


def test_a_block_is_worth_what_its_worst_epoch_concedes() -> None:
    usual, spied = played([link()] * 3, wanted=10**6), [link(), link(skr_bps=250.0), link()]
    assert played(spied, wanted=10**6) == [0, 0, usual[2] // 4]


@given(
    st.lists(
        st.one_of(
            st.just(NOTHING),
            st.builds(
                link,
                skr_bps=st.sampled_from([0.0, 1.0, 300.0, 1000.0]),
                block_s=st.sampled_from([30.0, 60.0, 150.0, 1000.0]),
                qber=st.sampled_from([0.01, 0.2]),
            ),
        ),
        max_size=40,
    ),
    st.integers(1, 1000),
)
def test_no_more_is_handed_out_than_an_endless_block_of_the_same_epochs_would_have_made(
    samples: list[LinkSample], wanted: int
) -> None:
    made = played(samples, wanted=wanted)
    good = [sample for sample in samples if sample.usable and sample.qber <= 0.11]

    assert 8 * KEY_BYTES * sum(made) <= sum(sample.skr_bps * 60 for sample in good)
    assert sum(made) <= wanted * len(good)
    assert all(units <= wanted for units in made)
