"""What befalls fibers: cuts, loss, classical light and eavesdroppers, with what physics says of each.

Each kind has an effect on the world, and checks that yield (field of the entry, what would be right).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from math import inf
from typing import TypeVar

from controllers.ports import LinkSample
from emulator.build.quantum_links import QuantumLink, link_between, links_of
from emulator.build.setup import Setup
from emulator.config.schedule import (
    ClassicalPowerEvent,
    EavesdropperEvent,
    FiberCutEvent,
    LinkDegradedEvent,
)
from emulator.config.section import Timed
from emulator.config.topology import Topology
from emulator.input_checks import ParameterError
from emulator.world.events import Dimming, Eavesdropper, FiberCut, WorldEvent
from protos.facts import label_of

TAP_STEPS = 64

Mistakes = Iterator[tuple[str, str]]
Link = TypeVar("Link", FiberCutEvent, EavesdropperEvent, LinkDegradedEvent, ClassicalPowerEvent)


def times_of(event: Timed) -> tuple[float, float]:
    """Return when an entry begins and ends, in emulated seconds."""
    return event.at_s, inf if event.until_s is None else event.until_s


# Effects


def cut(_setup: Setup, event: FiberCutEvent) -> WorldEvent:
    """Return a fiber that carries nothing."""
    return FiberCut(*event.link, *times_of(event))


def dimmed(setup: Setup, event: LinkDegradedEvent) -> WorldEvent:
    """Return a fiber that loses more light, with what is left."""
    offer = link_between(links_of(setup), *event.link).dimmed(event.loss_db)
    return Dimming(*event.link, *times_of(event), offer)


def lit(setup: Setup, event: ClassicalPowerEvent) -> WorldEvent:
    """Return a fiber with classical channels, with what is left."""
    return Dimming(*event.link, *times_of(event), _with_light(setup, event))


def _with_light(setup: Setup, event: ClassicalPowerEvent) -> LinkSample:
    link, light = link_between(links_of(setup), *event.link), (event.launch_dbm, event.channels)
    return link.lit(*light, event.direction, event.link[0])


def tapped(setup: Setup, event: EavesdropperEvent) -> WorldEvent:
    """Return somebody who listens, with the rates by share of pulses."""
    link = link_between(links_of(setup), *event.link)
    rates = [link.tapped(step / TAP_STEPS) for step in range(TAP_STEPS + 1)]
    skr_bps, worst_qber = tuple(rate.skr_bps for rate in rates), rates[-1].qber or 0.0
    return Eavesdropper(*event.link, event.fraction, *times_of(event), skr_bps, worst_qber)


# Checks


def link_exists(setup: Setup, event: Link) -> Mistakes:
    """Refuse a link that the network does not have."""
    if frozenset(event.link) not in _ends(setup.topology):
        yield "link", f"no link {label_of(event.link)} in the network"


def can_be_tapped(setup: Setup, event: EavesdropperEvent) -> Mistakes:
    """Refuse a link whose devices count no errors."""
    yield from _possible(setup, event, "listened to", lambda link: link.tapped(event.fraction))


def can_be_dimmed(setup: Setup, event: LinkDegradedEvent) -> Mistakes:
    """Refuse a link whose devices have no loss to add to."""
    yield from _possible(setup, event, "degraded", lambda link: link.dimmed(event.loss_db))


def can_be_lit(setup: Setup, event: ClassicalPowerEvent) -> Mistakes:
    """Refuse a link whose noise is not modelled."""
    yield from _possible(setup, event, "lit", lambda _: _with_light(setup, event))


def _possible(
    setup: Setup, event: Link, done: str, attempt: Callable[[QuantumLink], object]
) -> Mistakes:
    """Yield why the devices of a link do not allow for what befalls it, if they do not."""
    for link in _equipped(setup, event.link):
        try:
            attempt(link)
        except ParameterError as error:
            yield "link", f"cannot be {done} with protocol {link.rate.protocol}: {error}"


def _equipped(setup: Setup, ends: tuple[str, str]) -> Iterator[QuantumLink]:
    """Yield the link as it is equipped, if it is there and its devices are possible."""
    try:
        links = links_of(setup)
    except (ParameterError, ValueError):
        return  # told of another field
    if frozenset(ends) in _ends(setup.topology):
        yield link_between(links, *ends)


def _ends(topology: Topology) -> set[frozenset[str]]:
    return {frozenset((link.a, link.b)) for link in topology.links}
