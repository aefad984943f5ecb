"""Nature as the oracle computes it: key from a fiber, the sky over a node, units that are needed.

Written from the published formulas and from docs/design.md, without the emulator's physics.  What lies
so near to a limit that only a draw can tell is `Undetermined`: nothing is predicted of such a case.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

EARTH_KM = 6371.0
NEAR_KM = 1.0
NEAR_SIGMAS = 5.0
TAP_STEPS = 64
CLEAR_OPAQUE = 0.2


class Undetermined(Exception):  # noqa: N818 - nothing is wrong
    """A case that is too near to a limit to be predicted."""


@dataclass(frozen=True)
class Offer:
    """What one wavelength of a fiber offers while a share of its pulses is intercepted."""

    skr_bps: float
    sifted_bps: float
    qber: float


def bb84(span_km: float, share: float, loss_db: float = 0.0) -> Offer:
    """Return what decoy-state BB84 yields over a span, by Ma et al., PRA 72, 012326 (2005).

    Devices are those of Gobby, Yuan and Shields; mu = 0.48, nu = 0.05 and vacuum.  Whoever intercepts a
    share f raises errors from E to E + f (1 - 2E) / 4, in both bases, and changes no counts.
    """
    clock_hz, efficiency, background, leak = 2e6, 0.045, 1.7e-6, 1.22
    mu, nu = 0.48, 0.05
    wrong = 0.033 + share * (1 - 2 * 0.033) / 4
    eta = efficiency * 10 ** (-(0.21 * span_km + loss_db) / 10)

    def gain(photons: float) -> tuple[float, float]:
        light = 1 - math.exp(-eta * photons)
        return background + light, background / 2 + wrong * light

    (q_mu, e_mu), (q_nu, e_nu) = gain(mu), gain(nu)
    many = (nu / mu) ** 2 * (q_mu * math.exp(mu) - background)
    y1 = mu / (mu * nu - nu**2) * (q_nu * math.exp(nu) - background - many)
    e1 = min(0.5, (e_nu * math.exp(nu) - background / 2) / (y1 * nu)) if y1 > 0 else 0.5
    secret = y1 * mu * math.exp(-mu) * (1 - _entropy(e1)) - q_mu * leak * _entropy(e_mu / q_mu)
    return Offer(max(0.0, clock_hz * secret / 2), clock_hz * q_mu / 2, e_mu / q_mu)


def tapped(span_km: float, share: float, loss_db: float) -> Offer:
    """Return what is left under interception and additional loss.

    The rate is the lesser of that with the loss and that with the next 64th of the share; errors come
    on top of those with the loss, in proportion, up to those of a fiber that is wholly intercepted.
    """
    dim = bb84(span_km, 0.0, loss_db)
    worse = bb84(span_km, min(1.0, math.ceil(share * TAP_STEPS - 1e-9) / TAP_STEPS))
    qber = dim.qber + share * max(0.0, bb84(span_km, 1.0).qber - dim.qber)
    return Offer(min(dim.skr_bps, worse.skr_bps), dim.sifted_bps, qber)


def is_noisy(offer: Offer, sifted_bits: int, limit: float) -> bool:
    """Return whether a block has more errors than the limit.  Raises `Undetermined` near to it."""
    if sifted_bits:
        sigma = math.sqrt(offer.qber * (1 - offer.qber) / sifted_bits)
        if abs(offer.qber - limit) <= NEAR_SIGMAS * sigma:
            raise Undetermined(f"qber {offer.qber:.4f} of {sifted_bits} bits, limit {limit}")
    return offer.qber > limit


def demanded(law: Sequence[float], chance: float) -> int:
    """Return the least number of units whose cumulative probability exceeds the draw."""
    total = 0.0
    for units, probability in enumerate(law):
        total += probability
        if total > chance:
            return units
    return len(law) - 1


def poisson(mean: float, scenarios: int) -> list[float]:
    """Return the probabilities of 0 .. scenarios-1 units, renormalised."""
    weights = [mean**k / math.factorial(k) for k in range(scenarios)]
    return [weight / math.fsum(weights) for weight in weights]


def mean_of(law: Sequence[float]) -> float:
    """Return the mean of a law."""
    return math.fsum(units * p for units, p in enumerate(law))


def variance_of(law: Sequence[float]) -> float:
    """Return the variance of a law."""
    mean = mean_of(law)
    return math.fsum(p * (units - mean) ** 2 for units, p in enumerate(law))


def poisson_of_cut_mean(mean: float, scenarios: int) -> list[float]:
    """Return the Poisson law, cut off, whose mean is nearest to this one."""
    low, high = 1e-9, 10.0 * scenarios
    while high - low > 1e-12 * high:
        middle = (low + high) / 2
        if mean_of(poisson(middle, scenarios)) < mean:
            low = middle
        else:
            high = middle
    return poisson(high, scenarios)


def is_clear(
    faults: Sequence[Mapping[str, Any]],
    node: str,
    lat: float | None,
    lon: float | None,
    at_s: float,
) -> bool:
    """Return whether at most 2/10 of the sky over a node are covered.

    Without events it is clear.  A forced sky is what the one says that began last; storm and fog cover
    all of it whatever is forced.
    """
    here = [event for event in faults if _is_over(event, node, lat, lon, at_s)]
    if any(event["kind"] in ("storm", "fog") for event in here):
        return False
    forced = sorted((e for e in here if e["kind"] == "cloud"), key=lambda e: float(e["at_s"]))
    return not forced or forced[-1]["sky"] == "clear"


def _is_over(
    event: Mapping[str, Any], node: str, lat: float | None, lon: float | None, at_s: float
) -> bool:
    until_s = event.get("until_s")
    if event["kind"] not in ("storm", "fog", "cloud"):
        return False
    if not event["at_s"] <= at_s < (math.inf if until_s is None else until_s):
        return False
    if event.get("lat_deg") is None:
        sites = event.get("sites")
        return sites is None or node in sites
    assert lat is not None
    assert lon is not None
    gone_km = event.get("speed_km_h", 0.0) * (at_s - event["at_s"]) / 3600
    center = _travelled(event["lat_deg"], event["lon_deg"], event.get("course_deg", 0.0), gone_km)
    distance_km = EARTH_KM * _angle(center, _unit(lat, lon))
    if abs(distance_km - event["radius_km"]) < NEAR_KM:
        raise Undetermined(f"{node} is at the rim of a {event['kind']}")
    return bool(distance_km < event["radius_km"])


Vector = tuple[float, float, float]


def _travelled(lat: float, lon: float, course: float, km: float) -> Vector:
    """Return the point so far along the great circle that leaves on a course."""
    phi, lam, theta = (math.radians(angle) for angle in (lat, lon, course))
    north = (-math.sin(phi) * math.cos(lam), -math.sin(phi) * math.sin(lam), math.cos(phi))
    east = (-math.sin(lam), math.cos(lam), 0.0)
    start, angle = _unit(lat, lon), km / EARTH_KM
    ahead = [math.cos(theta) * n + math.sin(theta) * e for n, e in zip(north, east, strict=True)]
    x, y, z = (math.cos(angle) * s + math.sin(angle) * a for s, a in zip(start, ahead, strict=True))
    return x, y, z


def _unit(lat: float, lon: float) -> Vector:
    phi, lam = math.radians(lat), math.radians(lon)
    return math.cos(phi) * math.cos(lam), math.cos(phi) * math.sin(lam), math.sin(phi)


def _angle(a: Vector, b: Vector) -> float:
    return 2 * math.asin(min(1.0, math.dist(a, b) / 2))


def _entropy(p: float) -> float:
    return 0.0 if p <= 0 or p >= 1 else -p * math.log2(p) - (1 - p) * math.log2(1 - p)
