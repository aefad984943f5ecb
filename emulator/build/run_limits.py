"""What a whole run may add up to, so that one that has begun can finish.

Each field has bounds of its own; these are about products: rows of the ledger, sums of costs, looks at
fibers, positions of satellites.  They are generous, far above what anybody has run, and keep numbers
within 63 bits and tables within memory.  A rule yields the field that would have to change, and by what.
"""

from __future__ import annotations

from math import ceil

from emulator.build.demand import requests_of
from emulator.build.environment import timeline_of
from emulator.build.faults import Mistakes
from emulator.build.on_demand_prices import SHORTFALL_FACTOR
from emulator.build.quantum_links import links_of
from emulator.build.setup import Setup
from emulator.config.experiment import Limits
from emulator.config.schedule import RandomEvent
from emulator.config.section import MOST_S

MOST_ROWS = 10_000_000
"""Of the ledger: one per request and period."""
MOST_RECOURSE = 20_000_000
"""Requests times scenarios or futures: what the plan prices."""
MOST_KEY_BITS = 10_000_000_000
"""Of all requests in one period."""
MOST_LOOKS = 100_000_000
MOST_SATELLITE_S = 500_000_000.0
"""Satellites times emulated seconds: 66 satellites for 87 days."""
MOST_REDUCED = 2_000
"""Scenarios that can be compared each with each."""
MOST_DRAWN = 100_000
"""Random faults."""
MOST_BPS = 1e15
MOST_COST = MOST_BITS = 2**62
LEAST_KM, MOST_KM = 1e-6, 100_000.0
_HOURS = 24
YEARS = range(1950, 2200)


def rows(setup: Setup) -> Mistakes:
    """Refuse ledgers that no memory holds."""
    demand, count = setup.experiment.demand, len(requests_of(setup))
    if count * demand.periods > MOST_ROWS:
        most = MOST_ROWS // count
        yield "demand.periods", f"must be at most {most:,} with {count:,} requests"


def recourse(setup: Setup) -> Mistakes:
    """Refuse plans that no memory holds."""
    experiment, count = setup.experiment, len(requests_of(setup))
    demand, unit_bits = experiment.demand, experiment.keys.unit_bits
    if count * demand.scenarios > MOST_RECOURSE:
        most = MOST_RECOURSE // count
        yield "demand.scenarios", f"must be at most {most:,} with {count:,} requests"
    elif count * demand.scenarios * unit_bits > MOST_KEY_BITS:
        most = MOST_KEY_BITS // (count * demand.scenarios) // 8 * 8
        yield "keys.unit_bits", f"must be at most {most:,} with so many requests and scenarios"
    if demand.reduce_to is not None and demand.scenarios > MOST_REDUCED:
        yield "demand.scenarios", f"must be at most {MOST_REDUCED:,}, or leave out reduce_to"
    limits = experiment.limits or Limits()
    is_shared = experiment.limits is not None or experiment.uav.fleet is not None
    hours = _HOURS if experiment.plan.by_hour else 1
    if is_shared and hours * count * limits.futures > MOST_RECOURSE:
        most = MOST_RECOURSE // count // hours
        each = " and a plan an hour" if hours > 1 else ""
        yield "limits.futures", f"must be at most {most:,} with {count:,} requests{each}"


def duration(setup: Setup) -> Mistakes:
    """Refuse more than a century of emulated time."""
    demand, end_s = setup.experiment.demand, timeline_of(setup).end_s
    if end_s > MOST_S:
        most = int(MOST_S / demand.period_s) - 2
        right = f"must be at most {most:,} of {demand.period_s:g} s; a run ends after a century"
        yield "demand.periods", right


def looks(setup: Setup) -> Mistakes:
    """Refuse what would be done again and again for ever."""
    experiment, end_s = setup.experiment, timeline_of(setup).end_s
    weather = experiment.uav.weather
    for field, every_s in (
        ("fiber.monitor_s", max(experiment.fiber.monitor_s, experiment.clock.window_s)),
        ("management.rotation_s", experiment.management.rotation_s),
        ("uav.weather.look_s", weather.look_s if weather else end_s),
    ):
        if end_s / every_s > MOST_LOOKS:
            yield field, f"must be at least {ceil(end_s / MOST_LOOKS)} in a run of {end_s:g} s"


def costs(setup: Setup) -> Mistakes:
    """Refuse prices whose sum over a run is no number of 63 bits."""
    experiment, topology = setup.experiment, setup.topology
    demand, prices = experiment.demand, experiment.price_table.model_dump()
    longest_km = max((link.length_km for link in topology.links), default=1.0)
    spans = ceil(longest_km / min(80.0, experiment.fiber.span_km)) + ceil(longest_km)
    a_unit = sum(prices.values()) * len(topology.nodes) * spans
    given = demand.shortfall_cost or 0
    lost = max(given.values(), default=0) if isinstance(given, dict) else given
    field = "prices" if lost <= SHORTFALL_FACTOR * a_unit else "demand.shortfall_cost"
    a_unit = max(lost, SHORTFALL_FACTOR * a_unit)
    units = len(requests_of(setup)) * demand.scenarios * demand.periods
    if a_unit * units > MOST_COST:
        factor = a_unit * units / MOST_COST
        yield field, f"add up to too much over the run; make all of them {factor:.2g} times less"


def lengths(setup: Setup) -> Mistakes:
    """Refuse fibers that are no fibers on Earth."""
    for link in setup.topology.links:
        if not LEAST_KM <= link.length_km <= MOST_KM:
            right = f"must be {LEAST_KM:g} to {MOST_KM:,.0f} km, not {link.length_km:g}"
            yield "network.topology", f"link {link.a}-{link.b}: {right}"
            return


def orbits(setup: Setup) -> Mistakes:
    """Refuse more positions of satellites than can be computed, and times without an Earth to turn."""
    found = setup.experiment.satellite.orbits
    if found is None:
        return
    if found.epoch.year not in YEARS:
        yield "satellite.orbits.epoch", f"must be in the years {YEARS[0]} to {YEARS[-1]}"
    count = len(found.elements or ()) or (found.walker.satellites if found.walker else 1)
    end_s = timeline_of(setup).end_s + found.max_wait_s
    if count * end_s > MOST_SATELLITE_S:
        right = (
            f"at most {MOST_SATELLITE_S / count:,.0f} s with {count} satellites, not {end_s:,.0f}"
        )
        yield "satellite.orbits", f"can be computed for {right}; emulate less, or fewer satellites"


def sifted_bits(setup: Setup) -> Mistakes:
    """Refuse blocks whose bits cannot be counted."""
    experiment = setup.experiment
    wavelengths = min(experiment.demand.scenarios, experiment.network.wavelengths)
    try:
        fastest_bps = max((item.sample.sifted_bps for item in links_of(setup)), default=0.0)
    except ValueError:
        return  # told of another field
    for item in links_of(setup):
        if item.sample.skr_bps > MOST_BPS:
            where = f"{item.link.a}-{item.link.b}"
            yield (
                "fiber",
                f"link {where} would make more than {MOST_BPS:g} bit/s; see its parameters",
            )
            return
    if fastest_bps * wavelengths * experiment.demand.period_s > MOST_BITS:
        most_s = MOST_BITS / (fastest_bps * wavelengths)
        right = f"must be at most {most_s:.3g} s with links that sift {fastest_bps:.3g} bit/s"
        yield "demand.period_s", right


def random_faults(setup: Setup) -> Mistakes:
    """Refuse more drawn faults than a schedule may hold."""
    drawn = [event.count for event in setup.experiment.faults if isinstance(event, RandomEvent)]
    if sum(drawn) > MOST_DRAWN:
        yield "faults", f"draw {sum(drawn):,} random faults; make them at most {MOST_DRAWN:,}"
