"""The emulated world: what links offer, what quantum channels yield, what applications need.

It is a pure function of (seed, question): any process computes the same answer, in any order, as
often as it likes.  Randomness is keyed BLAKE2b over the seed and the question, which unlike a
generator needs no state and no sequence; key material is a SHAKE-256 stream, so that both ends of a
channel derive the same block and nobody has to carry it.  Whoever knows the seed knows every key: an
emulation protects nothing.

A question names a node by its number in the network, from 1 on, not by its name: a network whose nodes are
renamed has the same draws and the same keys.

Thin on imports on purpose: every actor loads it.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from hashlib import blake2b, shake_256
from math import ceil, inf
from typing import Any, Protocol, Self, TypeVar

from controllers.ports import ChannelId, LinkSample
from emulator.world import keyed_random
from emulator.world.demand import Demand
from emulator.world.demand_process import Path
from emulator.world.events import (
    NOTHING,
    DemandShift,
    Dimming,
    Eavesdropper,
    FiberCut,
    PowerCut,
    SatelliteLoss,
    Schedule,
    UavLoss,
    WorldEvent,
)
from emulator.world.keyed_random import binomial_quantile, in_letters
from protos.core import KEY_MANAGER_PREFIX, Timeline
from protos.syntax import MediumCode

Found = TypeVar("Found")
OnFiber = TypeVar("OnFiber", bound=FiberCut | Dimming)


@dataclass(frozen=True)
class FreeSpace:
    """One free-space service: what it offers when usable, and how often it is.

    `probability` is that of being usable for a pair of nodes in a provisioning period; with
    `one_for_all` it is usable for all pairs or for none.
    """

    skr_bps: float
    qber: float
    probability: float
    one_for_all: bool = False


class SkyView(Protocol):
    """The sky over nodes; see `emulator.world.weather`."""

    def is_clear(self, site: str, at_s: float) -> bool:
        """Return whether satellites can be seen from a node."""

    def with_event(self, event: WorldEvent) -> Self:
        """Return the sky in which that happens too."""


class UavView(Protocol):
    """UAVs whose rate is computed, or that weather grounds; see `emulator.world.uav_links`."""

    def sample(self, a: str, b: str, now_s: float) -> LinkSample:
        """Return what UAVs offer two nodes."""

    def with_event(self, event: WorldEvent) -> Self:
        """Return the air in which that happens too."""


_NO_BLOCK: tuple[tuple[int, ...], bytes] = ((), b"")
_NO_ERRORS: tuple[tuple[float, ...], int] = ((), 0)


@dataclass(frozen=True)
class World:
    """The world of one experiment.

    Satellites are as assumed, as far as the `sky` is clear at both ends; those of known orbits are not
    asked for here.  UAVs are as assumed, unless there are `uav_links`.

    `nodes` are in the order of the network; questions about others raise `KeyError`.
    `fibers` holds what each fiber offers on one wavelength, as (a, b, sample).
    """

    seed: int
    timeline: Timeline
    nodes: tuple[str, ...]
    fibers: tuple[tuple[str, str, LinkSample], ...]
    satellite: FreeSpace
    uav: FreeSpace
    demand: Demand
    sky: SkyView | None = None
    uav_links: UavView | None = None
    schedule: Schedule = NOTHING

    def with_event(self, event: WorldEvent) -> World:
        """Return the world in which that happens too."""
        return replace(
            self,
            schedule=self.schedule.with_event(event),
            sky=self.sky and self.sky.with_event(event),
            uav_links=self.uav_links and self.uav_links.with_event(event),
        )

    def sample(
        self, medium: MediumCode, a: str, b: str, now_s: float, since_s: float | None = None
    ) -> LinkSample:
        """Return what a link offers now, or to a block begun at `since_s` and complete now.

        Raises `KeyError` for a node or fiber that does not exist.
        """
        if a not in self._number or b not in self._number:
            raise KeyError(f"{a}-{b}")
        if medium is MediumCode.FIBER:
            return self._on_fiber(a, b, now_s if since_s is None else since_s, now_s)
        offer = (
            self._in_the_air(a, b, now_s) if medium is MediumCode.UAV else self._above(a, b, now_s)
        )
        dark = any(self.is_dark(node, now_s) for node in (a, b))
        return replace(offer, usable=False) if dark else offer

    def may_change_s(self, since_s: float) -> float:
        """Return the first instant after this one at which a fiber begins or ceases to be troubled."""
        place = bisect_right(self._turns_s, since_s)
        return self._turns_s[place] if place < len(self._turns_s) else inf

    def is_dark(self, node: str, at_s: float) -> bool:
        """Return whether a node has no power."""
        return any(
            item.node == node and item.start_s <= at_s < item.end_s for item in self._of(PowerCut)
        )

    def lost_uavs(self, since_s: float, now_s: float) -> float:
        """Return how many UAVs could not fly at some time from then until now; infinite: none could."""
        losses = self._of(UavLoss)
        times = [since_s, *(item.start_s for item in losses if since_s < item.start_s <= now_s)]
        return max(
            sum(
                inf if item.uavs is None else item.uavs
                for item in losses
                if item.start_s <= at_s < item.end_s
            )
            for at_s in times
        )

    def knows(self, node: str) -> bool:
        """Return whether a node exists."""
        return node in self._number

    def block(self, channel: ChannelId, serial: int, n_bytes: int) -> bytes:
        """Return a block of key, the same at both ends of the channel."""
        return self._stream("channel", self._words(channel), serial, n_bytes)

    def blocks(
        self, channels: Sequence[ChannelId], serial: int, n_bytes: Sequence[int]
    ) -> list[bytes]:
        """Return a block of each channel; what one end was told last is kept for the other."""
        known, found = self._last_block, []
        for channel, size in zip(channels, n_bytes, strict=True):
            question = (serial, size)
            asked, block = known.get(channel, _NO_BLOCK)
            if asked != question:
                block = self.block(channel, serial, size)
                known[channel] = question, block
            found.append(block)
        return found

    def errors(
        self, channels: Sequence[ChannelId], serial: int, sifted_bits: Sequence[int], qber: float
    ) -> list[int]:
        """Return how many bits of each block differ at its ends, drawn by inversion."""
        known, found = self._last_errors, []
        for channel, bits in zip(channels, sifted_bits, strict=True):
            question = (serial, bits, qber)
            asked, errors = known.get(channel, _NO_ERRORS)
            if asked != question:
                uniform = self.uniform("errors", self._words(channel), serial)
                errors = binomial_quantile(bits, qber, uniform)
                known[channel] = question, errors
            found.append(errors)
        return found

    def shared(self, purpose: str, a: str, b: str, serial: int, n_bytes: int) -> bytes:
        """Return a key that two entities share for a purpose, the same for both."""
        first, second = sorted(self._entity(name) for name in (a, b))
        return self._stream("channel", f"{purpose}/{first}/{second}", serial, n_bytes)

    def fresh(self, node: str, request: int, serial: int, n_bytes: int) -> bytes:
        """Return a node's own random bytes."""
        return self._stream("node", f"{self.number(node)}/{request}", serial, n_bytes)

    def demanded_units(self, request: int, period: int) -> int:
        """Return the units that a request needs in a period."""
        began = [shift for shift in self._of(DemandShift) if shift.from_period <= period]
        last = max(began, key=lambda shift: shift.from_period, default=None)
        at_s, draw = self.timeline.begins_s(period), partial(self.uniform, "demand", period)
        factor = self._factors.factor(period) if self._factors else 1.0
        shifted = last.demand if last else None
        return self.demand.units(request, period, at_s, draw, shifted, factor=factor)

    def number(self, node: str) -> int:
        """Return a node's number in the network, from 1 on.  Raises `KeyError` for an unknown node."""
        return self._number[node]

    def pair(self, a: str, b: str) -> tuple[str, str]:
        """Return the key of draws that concern two nodes: their numbers in letters, A first."""
        first, second = sorted(self.number(node) for node in (a, b))
        return in_letters(first), in_letters(second)

    def uniform(self, *question: str | int) -> float:
        """Return the number in [0, 1) that belongs to this question."""
        return keyed_random.number(question, key=self._key)

    def _above(self, a: str, b: str, now_s: float) -> LinkSample:
        """Return what assumed satellites offer, of which a loss takes all."""
        usable = self._is_available(self.satellite, MediumCode.SATELLITE, a, b, now_s)
        if self.sky is not None:
            usable = usable and all(self.sky.is_clear(node, now_s) for node in (a, b))
        lost = any(item.start_s <= now_s < item.end_s for item in self._of(SatelliteLoss))
        return LinkSample(self.satellite.skr_bps, self.satellite.qber, usable and not lost)

    def _in_the_air(self, a: str, b: str, now_s: float) -> LinkSample:
        if self.uav_links is not None:
            offer = self.uav_links.sample(a, b, now_s)
        else:
            usable = self._is_available(self.uav, MediumCode.UAV, a, b, now_s)
            offer = LinkSample(self.uav.skr_bps, self.uav.qber, usable)
        return replace(offer, usable=False) if self.lost_uavs(now_s, now_s) == inf else offer

    def _is_available(
        self, service: FreeSpace, medium: MediumCode, a: str, b: str, now_s: float
    ) -> bool:
        who = () if service.one_for_all else self.pair(a, b)
        period = int((now_s - self.timeline.first_period_s) // self.timeline.period_s)
        return self.uniform(medium.name, *who, period) < service.probability

    def _of(self, kind: type[Found]) -> tuple[Found, ...]:
        """Return what the schedule has of a kind."""
        if kind not in self._by_kind:
            self._by_kind[kind] = self.schedule.of(kind)
        return self._by_kind[kind]

    def _words(self, channel: ChannelId) -> str:
        """Return a channel by the numbers of its ends."""
        if channel.medium is not MediumCode.FIBER:
            return self._spelt(channel)
        known = self._known_words.get(channel)
        if known is None:
            known = self._known_words[channel] = self._spelt(channel)
        return known

    def _spelt(self, channel: ChannelId) -> str:
        ends = [self.number(node) for node in (channel.a, channel.b)]
        rest = [channel.number]
        if channel.medium is MediumCode.FIBER:
            ends.sort()
            rest.append(channel.generation)
        return "/".join(map(str, (channel.medium.name.lower(), *ends, *rest)))

    def _entity(self, name: str) -> str:
        """Return an entity's name, with the number of its node if that exists."""
        node = name.removeprefix(KEY_MANAGER_PREFIX)
        number = None if node == name else self._number.get(node)
        return name if number is None else f"{KEY_MANAGER_PREFIX}{number}"

    @cached_property
    def _factors(self) -> Path | None:
        """The path of the process of demand, if there is one."""
        process = self.demand.process
        return process.path(partial(self.uniform, "demand-process")) if process else None

    @cached_property
    def _number(self) -> dict[str, int]:
        return {node: number for number, node in enumerate(self.nodes, start=1)}

    @cached_property
    def _by_kind(self) -> dict[type, tuple[Any, ...]]:
        return {}

    @cached_property
    def _known_words(self) -> dict[ChannelId, str]:
        return {}

    @cached_property
    def _last_block(self) -> dict[ChannelId, tuple[tuple[int, ...], bytes]]:
        """The block that each fiber's channel was asked for last: its other end may be in this process."""
        return {}

    @cached_property
    def _last_errors(self) -> dict[ChannelId, tuple[tuple[float, ...], int]]:
        return {}

    @cached_property
    def _key(self) -> bytes:
        return blake2b(str(self.seed).encode(), digest_size=32, person=b"qsagin-world").digest()

    @cached_property
    def _fiber(self) -> dict[frozenset[str], LinkSample]:
        return {frozenset((a, b)): sample for a, b, sample in self.fibers}

    @cached_property
    def _troubled(self) -> set[frozenset[str]]:
        """Fibers to which anything ever happens."""
        dark = {item.node for item in self._of(PowerCut)}
        found = {ends for ends in self._fiber if ends & dark}
        found |= {frozenset((item.a, item.b)) for item in self._of(FiberCut)}
        found |= {frozenset((item.a, item.b)) for item in self._of(Dimming)}
        return found | {frozenset((item.a, item.b)) for item in self._of(Eavesdropper)}

    @cached_property
    def _quiet(self) -> dict[tuple[str, str], LinkSample]:
        """What fibers offer to which nothing ever happens, both ways."""
        return {
            pair: offer
            for a, b, offer in self.fibers
            if frozenset((a, b)) not in self._troubled
            for pair in ((a, b), (b, a))
        }

    @cached_property
    def _turns_s(self) -> list[float]:
        """When what befalls fibers begins and ends, in order."""
        spans = [(item.start_s, item.end_s) for item in self._of(FiberCut)]
        spans += [(item.start_s, item.end_s) for item in self._of(Dimming)]
        spans += [(item.start_s, item.end_s) for item in self._of(Eavesdropper)]
        spans += [(item.start_s, item.end_s) for item in self._of(PowerCut)]
        return sorted({at_s for span in spans for at_s in span})

    def _on_fiber(self, a: str, b: str, since_s: float, now_s: float) -> LinkSample:
        offer = self._quiet.get((a, b))
        if offer is not None:
            return offer
        ends = frozenset((a, b))
        offer = self._fiber[ends]
        if _on(self._of(FiberCut), ends, now_s) or any(self.is_dark(n, now_s) for n in ends):
            return _nothing_of(offer)
        for dimming in _on(self._of(Dimming), ends, now_s):
            offer = min(offer, dimming.offer, key=lambda sample: sample.skr_bps)
        here = [item for item in self._of(Eavesdropper) if {item.a, item.b} == ends]
        share = min(1.0, sum(item.share_of(since_s, now_s) for item in here))
        return _tapped(offer, here[0], share) if share else offer

    def _stream(self, domain: str, name: str, serial: int, n_bytes: int) -> bytes:
        return shake_256(self._key + f"{domain}\x1f{name}\x1f{serial}".encode()).digest(n_bytes)


def _on(all_: tuple[OnFiber, ...], ends: frozenset[str], now_s: float) -> list[OnFiber]:
    """Return the events that strike one fiber now."""
    return [
        item for item in all_ if {item.a, item.b} == ends and item.start_s <= now_s < item.end_s
    ]


def _nothing_of(offer: LinkSample) -> LinkSample:
    """Return what a fiber offers through which no light comes."""
    block_s = inf if offer.block_s else 0.0
    return replace(offer, skr_bps=0.0, usable=False, sifted_bps=0.0, block_s=block_s)


def _tapped(offer: LinkSample, by: Eavesdropper, share: float) -> LinkSample:
    """Return what a fiber offers when that share is intercepted; the key rate is rounded down."""
    steps = len(by.skr_bps) - 1
    skr_bps = min(offer.skr_bps, by.skr_bps[min(steps, ceil(share * steps - 1e-9))])
    qber = offer.qber + share * max(0.0, by.worst_qber - offer.qber)
    return replace(offer, skr_bps=skr_bps, qber=qber, usable=skr_bps > 0)
