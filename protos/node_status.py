"""What a key manager shows of its node when somebody looks, at one instant of emulated time.

Rates are in bit/s, averaged over what a reservation calls a period.  There is no key in it, and to look
changes nothing.  Nothing here knows who looks, or how it is written down.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class FiberStatus:
    """A fiber to a neighbour.

    `skr_bps` is what all reserved `wavelengths` make together now, `consumed_bps` what the keys that cross
    the fiber use of it.  `qber` is the fraction that was measured in the last block; None before the first.
    """

    peer: str
    wavelengths: int
    skr_bps: float
    consumed_bps: float
    qber: float | None
    is_up: bool
    has_key: bool


@dataclass(frozen=True, slots=True)
class AssociationStatus:
    """A reservation that ends here or passes: key between two nodes, over a path of fibers.

    `peer` is the other end, empty where the path goes on at both sides; `upstream` and `downstream` are the
    neighbours on the path, empty at its ends.  `made_bps` is what the fibers here have made for it in the
    last epoch.  `missing_units` were asked for and are not there.
    """

    request: int
    peer: str
    upstream: str
    downstream: str
    reserved_bps: float
    made_bps: float
    has_key: bool
    missing_units: int


@dataclass(frozen=True, slots=True)
class ApplicationStatus:
    """Who takes keys at this node: the application of a request, or an SAE with those it shares keys with.

    `server` is who asked first, `clients` who may have the same keys.  An application is active if it has
    asked in this period or the one before.
    """

    server: str
    clients: tuple[str, ...]
    remote: str
    requests: tuple[int, ...]
    since_s: float
    taken_bits: int
    is_sae: bool
    is_active: bool


@dataclass(frozen=True, slots=True)
class NodeStatus:
    """Everything; `is_out` says that the key manager does nothing now."""

    node: str
    at_s: float
    fibers: tuple[FiberStatus, ...]
    associations: tuple[AssociationStatus, ...]
    applications: tuple[ApplicationStatus, ...]
    is_out: bool = False
