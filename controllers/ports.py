"""Ports: what agents ask of the world they work in.

The interfaces are owned here and implemented elsewhere, by hardware or by an emulation.  An answer
depends on the arguments alone: asked twice, or by two ends, it is the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from protos.syntax import MediumCode


@dataclass(frozen=True, slots=True)
class LinkSample:
    """What a quantum link offers.

    `qber` is a fraction; `usable` says whether pass, sky and hardware allow anything at all, and
    `ready_in_s` how long it takes until they do.  `sifted_bps` are the bits that both ends keep, and
    in which they can count errors; 0 where nobody counts.  `block_s` is how long they gather until a block
    is full and can be distilled: 0 where blocks are endless, infinite where nothing arrives.
    """

    skr_bps: float
    qber: float
    usable: bool = True
    ready_in_s: float = 0.0
    sifted_bps: float = 0.0
    block_s: float = 0.0


class LinkProbe(Protocol):
    """The state of links."""

    def sample(
        self, medium: MediumCode, a: str, b: str, now_s: float, since_s: float | None = None
    ) -> LinkSample:
        """Return what the link between two nodes offers on one wavelength or service.

        With `since_s`, return what a block offers that was begun then and is complete now.  Raises
        `KeyError` for an unknown node.
        """


class FiberProbe(LinkProbe, Protocol):
    """The state of fibers, and how long it lasts."""

    def may_change_s(self, since_s: float) -> float:
        """Return the first instant after this one at which any fiber may offer something else.

        Whoever cannot tell returns the instant itself; infinite: nothing will ever change.
        """


@dataclass(frozen=True, slots=True)
class Contact:
    """One satellite that serves one ground station for a while, or two at once.

    It is known ahead from orbits.  `bits` is the key that it makes under a clear sky, available when it
    ends.
    """

    satellite: str
    stations: tuple[str, ...]
    start_s: float
    end_s: float
    bits: int
    qber: float


@dataclass(frozen=True, slots=True)
class Passage:
    """Contacts of one satellite that together give two stations a key; each spends what they get."""

    contacts: tuple[Contact, ...]

    @property
    def ready_s(self) -> float:
        """When the last contact is over."""
        return max(contact.end_s for contact in self.contacts)

    @property
    def qber(self) -> float:
        """The worst of the contacts."""
        return max(contact.qber for contact in self.contacts)

    @property
    def skr_bps(self) -> float:
        """What the slowest contact makes while it lasts."""
        return min(item.bits / (item.end_s - item.start_s) for item in self.contacts)


class UavProbe(LinkProbe, Protocol):
    """The state of links, and of the fleet that makes them."""

    def lost_uavs(self, since_s: float, now_s: float) -> float:
        """Return how many UAVs of the fleet could not fly at some time from then until now.

        They are those with the lowest numbers; infinite: nobody could.
        """


class SatelliteView(Protocol):
    """Satellites whose orbits are known."""

    def passages(self, a: str, b: str, now_s: float) -> Sequence[Passage]:
        """Return what two stations may wait for from now on, soonest first.

        Raises `KeyError` for an unknown node.
        """

    def is_promised(self, contact: Contact, now_s: float) -> bool:
        """Return whether a contact is expected to make its key."""

    def has_made(self, contact: Contact) -> bool:
        """Return whether a contact that is over has made its key, as the sky allowed or not."""


class ChannelId(NamedTuple):
    """A quantum channel: between neighbours for a reservation, or from source to target for an order.

    Both ends name it alike: the ends of a fiber are in order of names.  `number` is that of the request or
    order; a reservation that is set up again has another `generation`.
    """

    medium: MediumCode
    a: str
    b: str
    number: int
    generation: int = 0


class QuantumChannel(Protocol):
    """Sifted, corrected and privacy-amplified key, as one end of a channel receives it."""

    def knows(self, node: str) -> bool:
        """Return whether a node exists; a channel to another one raises `KeyError`."""

    def block(self, channel: ChannelId, serial: int, n_bytes: int) -> bytes:
        """Return a block of key; the other end of the channel receives the same."""

    def blocks(
        self, channels: Sequence[ChannelId], serial: int, n_bytes: Sequence[int]
    ) -> list[bytes]:
        """Return a block of each channel, as `block` does."""

    def errors(
        self, channels: Sequence[ChannelId], serial: int, sifted_bits: Sequence[int], qber: float
    ) -> list[int]:
        """Return in how many sifted bits of each block the ends differed, as error correction tells.

        `qber` is the chance of each bit to be wrong.  Both ends find the same.
        """


class RandomSource(Protocol):
    """A node's own random numbers, for keys that it creates itself."""

    def fresh(self, node: str, request: int, serial: int, n_bytes: int) -> bytes:
        """Return secret random bytes, never given for other arguments."""


class Applications(Protocol):
    """The applications at a node."""

    def demanded_units(self, request: int, period: int) -> int:
        """Return how many units the application needs in a period; known when it begins."""


class NodeWorld(LinkProbe, QuantumChannel, RandomSource, Applications, Protocol):
    """Everything that a local key manager asks."""
