"""Fiber links as they are equipped: which devices stand on them, which must be trusted, what they yield.

A link is one hop of key, however long.  Trusted repeaters inside it hold every key that it carries;
an MDI relay or a quantum router never has one.  All rates are of one wavelength; all wavelengths of a
link are alike.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import ceil, inf
from typing import Any

from controllers.ports import LinkSample
from emulator.build.setup import Setup, part
from emulator.config.experiment import Keys
from emulator.config.fiber import FiberLink, FiberOptions, LinkKind, Wavelength
from emulator.config.topology import Link, Topology
from emulator.physics.raman import Coexistence, Direction
from emulator.physics.relay import span_count
from emulator.physics.skr import KeyRate, secret_key_rate
from global_manager.provisioning.prices import Prices


@dataclass(frozen=True)
class QuantumLink:
    """One fiber with its devices; `sections` are the lengths of fiber between them.

    `rate` is that of the whole link, which for trusted repeaters is that of one section; `parameters`
    replace what its devices have, and `light` is that of classical channels in the same fiber.
    """

    link: Link
    kind: LinkKind
    sections: int
    rate: KeyRate
    parameters: dict[str, float]
    light: Coexistence | None = None

    @property
    def trusted_repeaters(self) -> int:
        """How many sites between the ends hold key."""
        return self.sections - 1 if self.kind is LinkKind.TRUSTED else 0

    @property
    def untrusted_repeaters(self) -> int:
        """How many relays or routers between the ends never hold key."""
        return 0 if self.kind is LinkKind.TRUSTED else self.sections - 1

    @property
    def measuring_sites(self) -> int:
        """Bell measurements between the ends: in the relay, or half-way between two routers."""
        match self.kind:
            case LinkKind.TRUSTED:
                return 0
            case LinkKind.UNTRUSTED:
                return 1
            case LinkKind.QUANTUM_ROUTER:
                return self.sections

    @property
    def transmitters(self) -> int:
        """Senders per wavelength: one per trusted section, or two towards each measurement."""
        return 2 * self.measuring_sites or self.sections

    @property
    def receivers(self) -> int:
        """Receivers per wavelength: one per trusted section, or one at each measurement."""
        return self.measuring_sites or self.sections

    @property
    def sample(self) -> LinkSample:
        """What one wavelength yields while nothing disturbs it."""
        return _sample(self.rate)

    def shortcoming(self, keys: Keys, period_s: float, periods: int) -> str:
        """Return why a wavelength does not bring a key in every period, in words; nothing if it does.

        Where blocks take longer than a period to fill, the periods of a run before the first is full do not
        count, if others follow.
        """
        rate, period_bits = self.rate, self.rate.skr_bps * period_s
        if (rate.qber or 0.0) > keys.qber_limit:
            return f"errors are {rate.qber:.3f}, more than keys.qber_limit of {keys.qber_limit:g}"
        if period_bits == 0:
            block = "" if rate.block_bits is None else f" in a block of {rate.block_bits:.3g}"
            return f"no key is left over its length{block}"
        if period_bits < keys.unit_bits:
            return f"{period_bits:.3g} bit in a period, less than a key of {keys.unit_bits}"
        needed = self.periods_to_fill(period_s)
        if needed is not None and needed > periods:
            return f"its first block is full after {needed} periods, and there are {periods}"
        return ""

    def periods_to_fill(self, period_s: float) -> int | None:
        """Return for how many whole periods a block is gathered, at least one; None: it is never full.

        What links gather is distilled when a period's key is due (`controllers.gathering`).
        """
        block_s = self.sample.block_s
        return None if block_s == inf else max(1, ceil(block_s / period_s - 1e-9))

    def yield_units(self, keys: Keys, period_s: float) -> int:
        """Return how many whole units a wavelength makes in a period while nothing disturbs it."""
        if (self.rate.qber or 0.0) > keys.qber_limit:
            return 0
        return int(self.rate.skr_bps * period_s / 8) * 8 // keys.unit_bits

    def tapped(self, share: float) -> KeyRate:
        """Return the rate while that share of the pulses of one section is intercepted.

        Raises `ParameterError` where nobody counts errors.
        """
        return self._rated(self.light, intercepted=share)

    def dimmed(self, loss_db: float) -> LinkSample:
        """Return what one wavelength yields while every section loses this much more.

        Raises `ParameterError` where devices are described without it.
        """
        return _sample(self._rated(self.light, extra_loss_db=loss_db))

    def lit(
        self, launch_dbm: float, channels: int, direction: Direction, seen_from: str
    ) -> LinkSample:
        """Return what one wavelength yields with these classical channels in the fiber.

        Filters and gates are as they are; a fiber that had no multiplexers loses nothing by them.  Raises
        `ParameterError` where the noise is not modelled.
        """
        way = direction if seen_from == self.link.a else direction.turned()
        usual = self.light or Coexistence(mux_db=0.0)
        light = replace(usual, launch_dbm=launch_dbm, channels=channels, direction=way)
        return _sample(self._rated(light))

    def _rated(
        self, light: Coexistence | None, intercepted: float = 0.0, extra_loss_db: float = 0.0
    ) -> KeyRate:
        rate = self.rate
        return secret_key_rate(
            rate.protocol,
            rate.length_km,
            rate.device,
            self.parameters,
            intercepted,
            extra_loss_db=extra_loss_db,
            coexistence=light,
        )

    def unit_cost(self, prices: Prices) -> int:
        """Return what one wavelength costs for one period."""
        if self.kind is LinkKind.TRUSTED:
            return prices.reserved_unit(self.link.length_km)
        return prices.reserved_untrusted_unit(self.link.length_km, self.measuring_sites)

    def fields(self) -> dict[str, Any]:
        """Return what a reader wants to know, under public names."""
        return {
            "link": f"{self.link.a}-{self.link.b}",
            "length_km": self.link.length_km,
            "kind": self.kind.value,
            "trusted_repeaters": self.trusted_repeaters,
            "untrusted_repeaters": self.untrusted_repeaters,
            "transmitters": self.transmitters,
            "receivers": self.receivers,
            "protocol": self.rate.protocol,
            "device": self.rate.device,
            "skr_bps": self.rate.skr_bps,
            "qber": self.rate.qber,
            "block_bits": self.rate.block_bits,
            "block_s": self.rate.block_s,
        }


def quantum_links(options: FiberOptions, topology: Topology) -> tuple[QuantumLink, ...]:
    """Return every link of a network as it is equipped, in the order of the network.

    Raises `ParameterError` for a parameter that its devices do not have, `ValueError` for an unknown
    kind in the topology; `emulator.build.loading` refuses both.
    """
    special = {frozenset(item.link): item for item in options.links}
    return tuple(
        equip(options, link, special.get(frozenset((link.a, link.b)))) for link in topology.links
    )


def equip(options: FiberOptions, link: Link, special: FiberLink | None = None) -> QuantumLink:
    """Return one link with the devices of its kind.  Raises as `quantum_links` does."""
    kind = (special and special.kind) or LinkKind(link.kind or options.repeaters)
    protocol, devices = options.devices_of(kind)
    parameters = devices.parameters | (special.parameters if special else {})
    spans, length_km = span_count(link.length_km, options.span_km), link.length_km
    match kind:
        case LinkKind.TRUSTED:
            sections, length_km = spans, length_km / spans
        case LinkKind.UNTRUSTED:
            sections = 2
        case LinkKind.QUANTUM_ROUTER:
            parameters = {"routers": max(1, spans - 1)} | parameters
            sections = int(parameters["routers"]) + 1
    light = _turned(options.light_of(special), link, special)
    rate = secret_key_rate(protocol, length_km, devices.device, parameters, coexistence=light)
    return QuantumLink(link, kind, sections, rate, parameters, light)


def _turned(light: Coexistence | None, link: Link, special: FiberLink | None) -> Coexistence | None:
    """Return light whose direction is told from the end that the network names first."""
    if light is None or special is None or special.link[0] == link.a:
        return light
    return light.turned()


@part
def links_of(setup: Setup) -> tuple[QuantumLink, ...]:
    """Return every link of an experiment as it is equipped.  Raises as `quantum_links` does."""
    return quantum_links(setup.experiment.fiber, setup.topology)


@dataclass(frozen=True)
class Usage:
    """The links that a plan can use, and why it cannot use the others, by `a-b`."""

    used: tuple[QuantumLink, ...]
    reasons: dict[str, str]


@part
def usage_of(setup: Setup) -> Usage:
    """Return of which links every wavelength brings a key in every period.

    A plan pays for a unit and counts on it, so it cannot use the others, nor those whose first block is
    not full before the run is over.
    """
    keys, demand = setup.experiment.keys, setup.experiment.demand
    found, reasons = [], {}
    for item in links_of(setup):
        reason = item.shortcoming(keys, demand.period_s, demand.periods)
        if reason:
            reasons[f"{item.link.a}-{item.link.b}"] = reason
        else:
            found.append(item)
    return Usage(tuple(found), reasons)


def units_per_wavelength(setup: Setup, item: QuantumLink) -> int:
    """Return how many units a wavelength of a link counts for in a period; 0 where it is not used."""
    experiment = setup.experiment
    units = item.yield_units(experiment.keys, experiment.demand.period_s)
    return min(units, 1) if experiment.fiber.wavelength is Wavelength.UNIT else units


def link_fields(setup: Setup) -> list[dict[str, Any]]:
    """Return what a reader wants to know of every link, with what a wavelength brings and counts for.

    `first_key_s` is how long after its reservation a wavelength has key; `skr_bps` what it brings from then
    on, on average.
    """
    keys, period_s = setup.experiment.keys, setup.experiment.demand.period_s
    return [
        item.fields()
        | {
            "first_key_s": _first_key_s(item, period_s),
            "yield_units": item.yield_units(keys, period_s),
            "units_per_wavelength": units_per_wavelength(setup, item),
        }
        for item in links_of(setup)
    ]


def first_keys_of(setup: Setup) -> tuple[tuple[tuple[str, str], int], ...]:
    """Return in which period of a reservation the first key of a usable link comes, if not at once."""
    period_s = setup.experiment.demand.period_s
    found = (
        ((item.link.a, item.link.b), item.periods_to_fill(period_s) or 1)
        for item in usage_of(setup).used
    )
    return tuple((ends, first) for ends, first in found if first > 1)


def _first_key_s(item: QuantumLink, period_s: float) -> float | None:
    needed = item.periods_to_fill(period_s)
    return None if needed is None or item.rate.skr_bps == 0 else needed * period_s


def block_sentences(setup: Setup) -> list[str]:
    """Say what blocks mean for the links that a plan uses; nothing where none lasts for a period."""
    period_s = setup.experiment.demand.period_s
    found = [item for item in usage_of(setup).used if item.sample.block_s > period_s]
    if not found:
        return []
    sizes, rates, times = (
        [item.rate.block_bits or 0.0 for item in found],
        [item.rate.skr_bps for item in found],
        [_first_key_s(item, period_s) or 0.0 for item in found],
    )
    sentence = (
        f"{len(found)} of the links gather for more than a period until a block of {_range(sizes)} is "
        f"full: their first key comes {_range(times)} s after its reservation, and from then on "
        f"{_range(rates)} bit/s per wavelength on average; the plan counts on it from the first period on"
    )
    return [sentence]


def _range(values: Sequence[float]) -> str:
    """Return least and greatest in words, or the one that all are."""
    least, most = f"{min(values):.4g}", f"{max(values):.4g}"
    return least if least == most else f"{least} to {most}"


def wasted_share(setup: Setup, most_needed: int) -> float:
    """Return which share of what links yield the setting leaves unused on a wavelength of each.

    A unit in a period is counted where a wavelength counts for one; beyond what any request ever needs
    (`most_needed` units), key is of no use.
    """
    keys, period_s = setup.experiment.keys, setup.experiment.demand.period_s
    used = usage_of(setup).used
    made_bits = sum(item.rate.skr_bps * period_s for item in used)
    counted = sum(min(most_needed, units_per_wavelength(setup, item)) for item in used)
    return 1 - counted * keys.unit_bits / made_bits if made_bits else 0.0


@dataclass(frozen=True)
class Unused:
    """Links that are never reserved on, with the reason, and requests that no other links can serve.

    `without_uav` are requests that no UAV ever serves.
    """

    links: dict[str, str]
    requests: tuple[str, ...]
    without_uav: tuple[str, ...] = ()

    def fields(self) -> dict[str, Any]:
        """Return what a reader of the plan wants to know, under public names."""
        return {
            "unused_links": [{"link": link, "reason": why} for link, why in self.links.items()],
            "requests_without_fiber": list(self.requests),
            "requests_without_uav": list(self.without_uav),
        }

    def sentences(self) -> list[str]:
        """Say the same in words, one line each."""
        lines = [f"link {link} is not used: {reason}" for link, reason in self.links.items()]
        if self.requests:
            fate = "can never be served by fiber", "all their keys are bought"
            lines.append(_told(self.requests, *fate))
        if self.without_uav:
            fate = "are never served by UAVs, as their chains are too long", "none are bought there"
            lines.append(_told(self.without_uav, *fate))
        return lines


def _told(requests: tuple[str, ...], fate: str, outcome: str) -> str:
    some = ", ".join(requests[:5]) + (", ..." if len(requests) > 5 else "")
    return f"{len(requests)} of the requests {fate}: {some}; {outcome}"


def _sample(rate: KeyRate) -> LinkSample:
    usable, sifted_bps = rate.skr_bps > 0, rate.sifted_bps or 0.0
    block_s = 0.0 if rate.block_bits is None else rate.block_s or inf
    return LinkSample(
        rate.skr_bps, rate.qber or 0.0, usable, sifted_bps=sifted_bps, block_s=block_s
    )


def link_between(links: tuple[QuantumLink, ...], a: str, b: str) -> QuantumLink:
    """Return the link between two nodes.  Raises `StopIteration` if there is none."""
    return next(item for item in links if {item.link.a, item.link.b} == {a, b})


def by_kind(links: tuple[QuantumLink, ...]) -> list[dict[str, Any]]:
    """Return for each kind of link that there is: how many, how long, and who holds key."""
    rows = []
    for kind in LinkKind:
        found = [item for item in links if item.kind is kind]
        if found:
            row = {
                "kind": kind.value,
                "links": len(found),
                "km": sum(item.link.length_km for item in found),
                "trusted_repeaters": sum(item.trusted_repeaters for item in found),
                "untrusted_repeaters": sum(item.untrusted_repeaters for item in found),
                "min_skr_bps": min(item.rate.skr_bps for item in found),
            }
            rows.append(row)
    return rows
