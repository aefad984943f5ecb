"""Quantum routers: memories that hold entanglement until it can be swapped.

Neighbouring routers try again and again to share pairs, with all their memories at once; when every link
of the chain holds one or more, the routers swap as many as the poorest link holds, and the ends measure.
A link keeps what its first successful attempt gave, and rests until then.  A pair that waits decoheres; one
older than the cut-off is thrown away, and with it the round.  Sangouard et al., RMP 83, 33 (2011); cut-off:
Collins et al., PRL 98, 060502 (2007).  Routers need not be trusted.
"""

import math
from dataclasses import dataclass

from emulator.input_checks import require_between, require_not_negative, require_positive
from emulator.physics.bbm92 import secret_rate
from emulator.physics.channel import fiber_transmittance

FIBER_KM_PER_S = 2e5  # light in glass
_COARSE = 2e-3  # attempts are lumped until one success in a lump is about this likely
_TAIL = 1e-12  # waiting times less likely than this are left out
_MANY = 1_000  # pairs of a link beyond which their number is as good as normal


@dataclass(frozen=True)
class RouterSetup:
    """A fiber divided into equal links by quantum routers."""

    routers: int = 1
    memories: int = 1  # pairs of memories a link: attempts made side by side, and pairs held
    coherence_s: float = 1.0  # T2: w decays as exp(-t / T2)
    cutoff_s: float = math.inf  # a pair older than this is discarded
    memory_efficiency: float = 0.9  # write or read, each
    measurement_efficiency: float = (
        0.5  # Bell measurement half-way along a link; 1/2: linear optics
    )
    swap_success: float = 0.5
    link_werner: float = 0.98  # w of a fresh pair: F = (1 + 3 w) / 4
    swap_werner: float = 0.99  # w that a swap keeps
    ec_efficiency: float = 1.16
    sifting: float = 0.5
    attenuation_db_per_km: float = 0.2
    insertion_loss_db: float = 0.0  # a link
    preparation_s: float = 1e-6  # of a memory, each attempt

    def __post_init__(self) -> None:
        require_between(self, 0, 64, "routers")
        require_between(self, 1, 10**9, "memories")
        require_positive(self, "coherence_s", "preparation_s")
        require_between(self, 0, math.inf, "cutoff_s")
        require_between(self, 0, 1, "memory_efficiency", "measurement_efficiency", "swap_success")
        require_between(self, 0, 1, "link_werner", "swap_werner", "sifting")
        require_between(self, 1, 10, "ec_efficiency")
        require_not_negative(self, "attenuation_db_per_km", "insertion_loss_db")


@dataclass(frozen=True)
class ChainOutcome:
    """What a chain of routers delivers."""

    pairs_hz: float  # end-to-end pairs per second
    werner: float  # mean w of a delivered pair
    skr_bps: float

    @property
    def qber(self) -> float:
        """Return the error rate between the ends, (1 - w) / 2."""
        return (1 - self.werner) / 2

    @property
    def fidelity(self) -> float:
        """Return the mean fidelity to a Bell state, (1 + 3 w) / 4."""
        return (1 + 3 * self.werner) / 4


@dataclass(frozen=True)
class Round:
    """One round of waiting until all links hold a pair, or the oldest is too old."""

    success: float  # probability that the round ends with all pairs
    attempts: float  # mean length of a round
    coherence: float  # mean of the product of the links' decay, given success


def link_probability(setup: RouterSetup, length_km: float) -> float:
    """Return the chance that one attempt of one memory pair succeeds (RMP 83, 33, sec. II).

    Two photons meet half-way, so the whole link's loss counts once, the memory's twice.
    """
    eta = fiber_transmittance(length_km, setup.attenuation_db_per_km, setup.insertion_loss_db)
    return setup.measurement_efficiency * setup.memory_efficiency**2 * eta


def attempt_s(setup: RouterSetup, length_km: float) -> float:
    """Return the time of one attempt: photons to the middle, and the herald back."""
    return setup.preparation_s + length_km / FIBER_KM_PER_S


def chain(setup: RouterSetup, length_km: float) -> ChainOutcome:
    """Return what a fiber of the given length, divided evenly by the routers, delivers.

    All links wait for the slowest; then all routers swap at once.
    """
    links = setup.routers + 1
    link_km = length_km / links
    one = link_probability(setup, link_km)
    probability = -math.expm1(setup.memories * math.log1p(-one)) if one < 1 else 1.0
    period_s = attempt_s(setup, link_km)
    if probability <= 0:
        return ChainOutcome(0.0, 0.0, 0.0)
    waiting = wait_for_all(
        links, probability, math.exp(-period_s / setup.coherence_s), setup.cutoff_s / period_s
    )
    swapped = setup.swap_success**setup.routers * pairs_a_round(links, setup.memories, one)
    pairs_hz = swapped * waiting.success / (waiting.attempts * period_s)
    werner = setup.link_werner**links * setup.swap_werner**setup.routers * waiting.coherence
    qber = (1 - werner) / 2
    skr_bps = secret_rate(setup.sifting * pairs_hz, qber, setup.ec_efficiency)
    return ChainOutcome(pairs_hz, werner, skr_bps)


def pairs_a_round(links: int, memories: int, one: float) -> float:
    """Return the mean of the least number of pairs that several links hold, one or more each.

    Each holds a binomial number that is not zero: the sum over k >= 1 of P[K >= k | K >= 1]^links.
    Exact up to a mean of 1000 pairs, normal beyond.
    """
    mean, deviation = memories * one, math.sqrt(memories * one * (1 - one))
    if mean > _MANY:
        tails = [_normal_tail((n + 0.5) / 100) ** links for n in range(-800, 800)]
        return mean + deviation * (sum(tails) / 100 - 8)
    if one >= 1:
        return float(memories)
    some = -math.expm1(memories * math.log1p(-one))
    tail, total = 1.0, 0.0
    for k in range(1, memories + 1):
        total += tail**links
        tail -= _binomial(memories, k, one) / some
        if tail < _TAIL:
            break
    return total


def _binomial(count: int, k: int, one: float) -> float:
    ways = math.lgamma(count + 1) - math.lgamma(k + 1) - math.lgamma(count - k + 1)
    return math.exp(ways + k * math.log(one) + (count - k) * math.log1p(-one))


def _normal_tail(deviations: float) -> float:
    return math.erfc(deviations / math.sqrt(2)) / 2


def wait_for_all(links: int, probability: float, decay: float, cutoff: float) -> Round:
    """Return one round of several links with equal odds, `decay` and `cutoff` per attempt.

    The first success starts the clock; every other link then has `cutoff` attempts.  Exact, up to
    lumping attempts together where success is rare.
    """
    lump = max(1, round(_COARSE / probability))
    if cutoff < 64 * lump:
        lump = max(1, int(cutoff / 64))
    p = -math.expm1(lump * math.log1p(-probability)) if probability < 1 else 1.0
    q, x = 1 - p, decay**lump
    patience = math.log(_TAIL) / math.log1p(-p) if p < 1 else 1
    left = int(min(cutoff / lump, patience))
    first = -math.expm1(links * math.log1p(-p)) if p < 1 else 1.0
    success, attempts, coherence = 0.0, 1 / first, 0.0
    for ready in range(1, links + 1):
        odds = math.comb(links, ready) * p**ready * q ** (links - ready) / first
        done, waited, kept = _wait_for_rest(ready, links - ready, p, x, left)
        success += odds * done
        attempts += odds * waited
        coherence += odds * kept
    return Round(success, attempts * lump, coherence / success if success > 0 else 0.0)


def _wait_for_rest(
    ready: int, missing: int, p: float, x: float, limit: int
) -> tuple[float, float, float]:
    """Return success, mean wait and mean decay when some links hold pairs and others do not yet."""
    if missing == 0:
        return 1.0, 0.0, 1.0
    q = 1 - p
    failed, held, decay_ready = 1.0, 0.0, 1.0  # q^s, sum of p q^(t-1) x^(s-t), x^(ready s)
    done = waited = kept = 0.0  # done: 1 - q^s, summed up so that it stays exact where p is tiny
    for _ in range(limit):
        waited += 1 - done**missing
        done += p * failed
        before, held = x * held, x * held + p * failed
        failed *= q
        decay_ready *= x**ready
        kept += decay_ready * (held**missing - before**missing)
    return done**missing, waited, kept
