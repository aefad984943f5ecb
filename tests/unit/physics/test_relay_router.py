"""Trusted chains and quantum routers: exact formulas, and what waiting costs."""

import math
import random
from dataclasses import replace

import pytest

from emulator.input_checks import ParameterError
from emulator.physics import relay, router
from emulator.physics.channel import fiber_transmittance, plob_bits_per_use
from emulator.physics.router import RouterSetup, wait_for_all
from emulator.physics.skr import secret_key_rate


def test_a_long_link_is_cut_into_spans_of_80_km():
    assert [relay.span_count(km, 80) for km in (1, 80, 80.1, 160, 1000)] == [1, 1, 2, 2, 13]
    assert relay.span_count(3 * 0.1, 0.1) == 3
    with pytest.raises(ParameterError, match="span_km"):
        relay.span_count(10, 0)


def test_a_chain_is_bounded_by_its_worst_span():
    assert relay.chain_bound_bits_per_use([0.5, 0.1, 0.9]) == plob_bits_per_use(0.1)
    chain = secret_key_rate("relay", 400)

    assert chain.skr_bps == secret_key_rate("bb84", 80).skr_bps
    assert chain.skr_bps > secret_key_rate("plob", 400, overrides={"clock_hz": 2e6}).skr_bps
    assert chain.transmittance == pytest.approx(fiber_transmittance(400, 0.21))


# -- waiting -----------------------------------------------------------------------------------


def mean_attempts_until_all(links, p):
    """sum over k of (-1)^(k+1) C(n, k) / (1 - (1-p)^k)."""
    return sum(
        (-1) ** (k + 1) * math.comb(links, k) / (1 - (1 - p) ** k) for k in range(1, links + 1)
    )


@pytest.mark.parametrize("p", [1e-4, 1e-3, 0.05, 0.7, 1.0])
def test_two_links_wait_as_the_textbook_says(p):
    textbook = (3 - 2 * p) / (p * (2 - p))

    assert mean_attempts_until_all(2, p) == pytest.approx(textbook)
    assert wait_for_all(2, p, 1.0, math.inf).attempts == pytest.approx(textbook, rel=1e-3)


@pytest.mark.parametrize("links", [1, 2, 3, 5, 8])
def test_many_links_wait_for_the_slowest(links):
    exact = mean_attempts_until_all(links, 0.02)

    assert wait_for_all(links, 0.02, 1.0, math.inf).attempts == pytest.approx(exact, rel=1e-9)


@pytest.mark.parametrize(("p", "decay"), [(0.05, 0.99), (0.3, 0.5)])
def test_one_router_keeps_the_coherence_of_the_mean_wait(p, decay):
    q = 1 - p
    exact = p / (2 - p) * (1 + 2 * q * decay / (1 - q * decay))

    assert wait_for_all(2, p, decay, math.inf).coherence == pytest.approx(exact)


@pytest.mark.parametrize(("p", "cutoff", "tolerance"), [(0.05, 7, 1e-9), (1e-4, 5_000, 0.01)])
def test_one_router_with_a_cutoff(p, cutoff, tolerance):
    q = 1 - p
    any_ = 1 - q * q
    success = (p * p + 2 * p * q * (1 - q**cutoff)) / any_
    attempts = 1 / any_ + 2 * p * q / any_ * (1 - q**cutoff) / p
    found = wait_for_all(2, p, 1.0, cutoff)

    assert found.success == pytest.approx(success, rel=tolerance)
    assert found.attempts == pytest.approx(attempts, rel=tolerance)


def test_four_links_with_cutoff_and_decay_against_a_simulation():
    p, decay, cutoff, chance = 0.1, 0.97, 12, random.Random(4)
    rounds, attempts, kept = 20_000, 0, []
    for _ in range(rounds):
        times = [math.ceil(math.log(1 - chance.random()) / math.log(1 - p)) or 1 for _ in range(4)]
        last = max(times)
        if last - min(times) <= cutoff:
            attempts += last
            kept.append(math.prod(decay ** (last - t) for t in times))
        else:
            attempts += min(times) + cutoff
    found = wait_for_all(4, p, decay, cutoff)

    assert found.success == pytest.approx(len(kept) / rounds, rel=0.02)
    assert found.attempts == pytest.approx(attempts / rounds, rel=0.02)
    assert found.coherence == pytest.approx(sum(kept) / len(kept), rel=0.02)


# -- chains ------------------------------------------------------------------------------------

PERFECT = RouterSetup(
    routers=1,
    coherence_s=1e12,
    memory_efficiency=1.0,
    measurement_efficiency=1.0,
    swap_success=1.0,
    link_werner=1.0,
    swap_werner=1.0,
    ec_efficiency=1.0,
    sifting=1.0,
)


@pytest.mark.parametrize("routers", [1, 3])
def test_the_nested_estimate_is_near_the_exact_rate(routers):
    levels = int(math.log2(routers + 1))
    setup = replace(PERFECT, routers=routers, swap_success=0.5)
    link_km = 400 / (routers + 1)
    p, period_s = router.link_probability(setup, link_km), router.attempt_s(setup, link_km)
    # (2 p_s / 3)^m p / T0, the usual estimate for 2^m links (RMP 83, 33, eq. 5)
    estimate_hz = (2 * 0.5 / 3) ** levels * p / period_s

    exact_hz = router.chain(setup, 400).pairs_hz
    # swapping all at once forgives no failure, so it falls behind nesting as levels grow
    assert 0.4 ** (levels - 1) * 0.9 < exact_hz / estimate_hz < 1.1


def test_a_perfect_router_beats_a_direct_fiber_beyond_a_few_attenuation_lengths():
    def per_attempt(routers, length_km):
        setup = replace(PERFECT, routers=routers)
        attempt_s = router.attempt_s(setup, length_km / (routers + 1))
        return router.chain(setup, length_km).skr_bps * attempt_s

    assert per_attempt(1, 10) < plob_bits_per_use(fiber_transmittance(10))
    assert per_attempt(1, 200) > 10 * plob_bits_per_use(fiber_transmittance(200))
    assert per_attempt(0, 200) < plob_bits_per_use(fiber_transmittance(200))


def test_memories_that_forget_need_a_cutoff():
    forgetful = RouterSetup(coherence_s=0.05, memories=10)
    careful = replace(forgetful, cutoff_s=0.004)

    assert router.chain(forgetful, 250).skr_bps == 0
    assert router.chain(careful, 250).skr_bps > 0
    assert router.chain(careful, 250).pairs_hz < router.chain(forgetful, 250).pairs_hz


def test_a_werner_state_below_0_78_gives_no_key():
    good, bad = (replace(PERFECT, routers=0, link_werner=w) for w in (0.785, 0.775))

    assert router.chain(good, 10).skr_bps > 0
    assert router.chain(bad, 10).skr_bps == 0
    assert router.chain(bad, 10).qber == pytest.approx((1 - 0.775) / 2)
    assert router.chain(bad, 10).fidelity == pytest.approx((1 + 3 * 0.775) / 4)


def test_more_memories_help_until_every_attempt_succeeds():
    rates = [router.chain(RouterSetup(memories=m), 100).skr_bps for m in (1, 10, 100, 1000, 10_000)]

    assert rates == sorted(rates)
    assert rates[1] / rates[0] == pytest.approx(10, rel=0.1)


@pytest.mark.parametrize(
    ("links", "memories", "one"),
    [(3, 10, 0.05), (2, 100, 0.3), (2, 30, 0.98), (4, 50, 0.02)],
)
def test_a_round_swaps_as_many_pairs_as_the_poorest_link_holds(links, memories, one):
    chance = random.Random(8)

    def held():
        while True:
            if pairs := sum(chance.random() < one for _ in range(memories)):
                return pairs

    rounds = 4_000
    mean = sum(min(held() for _ in range(links)) for _ in range(rounds)) / rounds
    assert router.pairs_a_round(links, memories, one) == pytest.approx(mean, rel=0.03)


@pytest.mark.parametrize("links", [1, 2, 5])
def test_the_pairs_of_a_round_are_one_by_one_where_success_is_rare_and_all_where_it_is_certain(
    links,
):
    assert router.pairs_a_round(links, 1, 0.3) == 1
    assert router.pairs_a_round(links, 1000, 1e-7) == pytest.approx(1, abs=1e-3)
    assert router.pairs_a_round(links, 64, 1.0) == 64
    exact, normal = (router.pairs_a_round(links, 5000, one) for one in (0.1999, 0.2001))
    assert normal == pytest.approx(exact, rel=2e-3)
    assert router.pairs_a_round(1, 10**8, 0.3) == pytest.approx(3e7, rel=1e-6)


def test_twice_the_memories_of_busy_links_make_about_twice_the_key():
    rates = [router.chain(RouterSetup(memories=m), 20).pairs_hz for m in (1_000, 2_000, 4_000)]

    assert rates[1] / rates[0] == pytest.approx(2, rel=0.02)
    assert rates[2] / rates[1] == pytest.approx(2, rel=0.02)


def test_a_dead_memory_delivers_nothing():
    assert router.chain(RouterSetup(memory_efficiency=0.0), 100).skr_bps == 0
