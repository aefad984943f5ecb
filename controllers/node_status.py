"""What a node shows of itself: fibers, reservations and applications, put together from its parts.

It reads the parts and asks the world what fibers offer now; neither is changed by it, so a node that is
looked at does what it would have done.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from controllers.channel import Channel
from controllers.key_access import KeyAccess
from controllers.key_delivery import KeyDelivery
from controllers.key_relay import KeyRelay
from controllers.key_store import KeyStore, KeyStores
from protos.node_status import ApplicationStatus, AssociationStatus, FiberStatus, NodeStatus
from protos.syntax import MediumCode


@dataclass(frozen=True)
class StatusSource:
    """The parts of one node; keys are counted in units of `unit_bits`."""

    node: str
    neighbours: tuple[str, ...]
    unit_bits: int
    relay: KeyRelay
    stores: KeyStores
    delivery: KeyDelivery
    access: KeyAccess

    def at(self, now_s: float) -> NodeStatus:
        """Return what is the case now."""
        return NodeStatus(
            self.node,
            now_s,
            tuple(self._fiber(peer, now_s) for peer in self.neighbours),
            tuple(self._associations()),
            (*self._applications(), *self._saes()),
        )

    def _fiber(self, peer: str, now_s: float) -> FiberStatus:
        relay = self.relay
        here = [item for item in relay.channels.values() if peer in item.neighbours]
        begun = sum(item.row.units for item in here if item.row.start_ms <= 1000 * now_s)
        offer = relay.world.sample(MediumCode.FIBER, self.node, peer, now_s)
        is_up = offer.usable and offer.qber <= relay.qber_limit
        block = relay.latest.get(peer)
        return FiberStatus(
            peer,
            sum(item.row.units for item in here),
            begun * offer.skr_bps if is_up else 0.0,
            sum(map(self._reserved_bps, here)),
            None if block is None else block.qber,
            is_up,
            any(item.left().get(peer) for item in here),
        )

    def _associations(self) -> Iterator[AssociationStatus]:
        stores = dict(self.stores.of(MediumCode.FIBER))
        for request in sorted(self.relay.channels.keys() | stores.keys()):
            channel = self.relay.channels.get(request)
            yield self._association(request, channel, stores.get(request))

    def _association(
        self, request: int, channel: Channel | None, store: KeyStore | None
    ) -> AssociationStatus:
        row, delivery = channel and channel.row, self.delivery
        short = delivery.shortages.get(request)
        stored = (store.available_units if store else 0) + delivery.unclaimed_units(request)
        return AssociationStatus(
            request,
            store.peer if store else row.peer if row else "",
            row.upstream if row else "",
            row.downstream if row else "",
            self._reserved_bps(channel) if channel else 0.0,
            _made_bps(channel) if channel else 0.0,
            stored > 0,
            short.units if short else 0,
        )

    def _reserved_bps(self, channel: Channel) -> float:
        return channel.row.units * self.unit_bits * 1000 / channel.row.period_ms

    def _applications(self) -> Iterator[ApplicationStatus]:
        """Yield the applications of requests; those of SAEs are known when they have asked."""
        delivery = self.delivery
        for request, item in delivery.applications.items():
            if request in delivery.external:
                continue
            short = delivery.shortages.get(request)
            missing = delivery.lapsed_units[request] + (short.units if short else 0)
            taken = delivery.demanded_units[request] - missing
            yield ApplicationStatus(
                item.id,
                (),
                item.target,
                (request,),
                delivery.timeline.first_period_s,
                taken * self.unit_bits,
                is_sae=False,
                is_active=0 <= delivery.period < delivery.timeline.periods,
            )

    def _saes(self) -> Iterator[ApplicationStatus]:
        period = self.delivery.period
        for (master, slaves), use in self.access.uses.items():
            yield ApplicationStatus(
                master,
                slaves,
                use.remote,
                use.requests,
                use.since_s,
                use.bits,
                is_sae=True,
                is_active=use.period >= period - 1,
            )


def _made_bps(channel: Channel) -> float:
    """Return what the worst of the fibers here has made in the last epoch."""
    made = (block.n_bytes for block in channel.blocks.values())
    return 8 * min(made, default=0) * 1000 / channel.row.period_ms
