"""What share of key and cost rests on assumed rates, in summary, report and on the terminal."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator.build.loading import read
from emulator.report.assumptions import assumed_media, assumed_rates, sentence

SERVED = st.fixed_dictionaries(dict.fromkeys(("fiber", "satellite", "uav"), st.integers(0, 10**6)))
COST = st.fixed_dictionaries(
    dict.fromkeys(("reservation", "satellite", "uav"), st.integers(0, 10**9))
)


@pytest.mark.parametrize(
    ("name", "media"),
    [
        ("sagin-day", []),
        ("sagin-metro", []),
        ("paper", ["satellite", "uav"]),
        ("tiny", ["satellite", "uav"]),
    ],
)
def test_built_in_experiments_assume_what_they_say(name: str, media: list[str]) -> None:
    assert assumed_media(read(name).experiment) == media


@given(served=SERVED, paid=COST, media=st.sampled_from([[], ["uav"], ["satellite", "uav"]]))
def test_shares_are_of_what_was_served_and_paid(
    served: dict[str, int], paid: dict[str, int], media: list[str]
) -> None:
    cash = sum(paid.values())
    found = assumed_rates(
        media, served, paid | {"cash": cash, "total": 2 * cash, "shortfall": cash}
    )

    assert 0 <= found["share_of_key"] <= 1
    assert 0 <= found["share_of_cost"] <= 1
    assert found["share_of_cost"] * cash == pytest.approx(sum(paid[each] for each in media))
    assert found["share_of_key"] * sum(served.values()) == pytest.approx(
        sum(served[each] for each in media)
    )
    assert bool(media) or found["share_of_key"] == found["share_of_cost"] == 0


def test_whoever_reads_is_told() -> None:
    served = {"fiber": 90, "satellite": 0, "uav": 10}
    cost = {"reservation": 50, "satellite": 0, "uav": 150, "cash": 200}

    assert sentence(assumed_rates(["uav"], served, cost)) == (
        "The rate of UAVs is assumed: 10.0% of the key and 75.0% of the cash rest on it."
    )
    assert sentence(assumed_rates([], served, cost)) == (
        "No rate is assumed: 0.0% of the key and 0.0% of the cash rest on one."
    )
