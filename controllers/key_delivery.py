"""Delivery of keys to applications: what they ask of a local key manager, and what they get.

When a period begins, the application of a request asks for keys.  What the store has is delivered
at once; the rest is a shortage: the encrypted link is down, the manager is told, and keys that come
before the period ends are delivered as they come.  At the end of the period the need lapses.
A key is noted as delivered before it is handed over, at both ends.

What applications outside the network need, nobody knows before they ask (`ask`).  Their keys are delivered
at both ends alike, and then wait *unclaimed* at the source and *arrived* at the target, until it is known
who gets them.  What an application asks for again, since it was not there, is demanded once.
Nothing here knows paths, prices or media rates.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from controllers.key_store import KeyStore, KeyStores, name_keys
from controllers.ports import Applications, ChannelId, QuantumChannel
from controllers.reliable_delivery import Acknowledgements, Retransmissions
from protos.core import Effects, Stock, Timeline, Totals, key_manager_of
from protos.facts import Fact, FactKind, Reason
from protos.key_changes import Key, tag
from protos.keys import Confirm, Delivered, Discard
from protos.mib import DeliveryRow
from protos.syntax import MEDIUM_NAMES, MediumCode, TruthValue


@dataclass(frozen=True)
class Application:
    """The application of one request, at its source."""

    request: int
    id: str
    kind: str
    target: str


@dataclass
class Shortage:
    """Units of one request that are still missing in the current period."""

    period: int
    units: int


@dataclass
class KeyDelivery:
    """The applications at one node and the keys that free-space services bring for them.

    `orders` are the blocks brought whose keys are not all gone yet, by medium and order.  `external`
    are the requests of applications outside the network; `arrived` has their keys at the target.  What is
    kept from one period for the next is noted if it `tells_kept`.
    """

    node: str
    key_bytes: int
    timeline: Timeline
    applications: dict[int, Application]
    demand: Applications
    quantum: QuantumChannel
    effects: Effects
    stores: KeyStores
    retransmissions: Retransmissions
    acknowledgements: Acknowledgements
    external: frozenset[int] = frozenset()
    tells_kept: bool = False
    unclaimed: dict[int, list[Key]] = field(default_factory=dict)
    arrived: dict[str, tuple[str, Key]] = field(default_factory=dict)
    shortages: dict[int, Shortage] = field(default_factory=dict)
    orders: dict[tuple[MediumCode, int], DeliveryRow] = field(default_factory=dict)
    next_period: int = 0
    demanded_units: Counter[int] = field(default_factory=Counter)
    late_units: Counter[int] = field(default_factory=Counter)
    lapsed_units: Counter[int] = field(default_factory=Counter)
    delivered_bits: Counter[str] = field(default_factory=Counter)
    kept_units: int = 0

    @property
    def wake_s(self) -> float | None:
        """When the next period begins, or the last one ends."""
        if not self.applications or self.next_period > self.timeline.periods:
            return None
        return self.timeline.begins_s(self.next_period)

    @property
    def totals(self) -> Totals:
        """Running totals at the sources of requests."""
        late = self.late_units.total()
        return Totals(self.demanded_units.total(), late, self.lapsed_units.total())

    def begin_periods(self, now_s: float) -> list[tuple[int, Shortage]]:
        """Serve every period that has begun; return new shortages as (request, shortage).

        Shortages that have lapsed already are not among them.
        """
        news: list[tuple[int, Shortage]] = []
        while (wake_s := self.wake_s) is not None and wake_s <= now_s:
            self._lapse()
            news = []
            if self.next_period < self.timeline.periods:
                is_over = self.timeline.begins_s(self.next_period + 1) <= now_s
                news = self._begin_period(self.next_period, is_over)
            self.next_period += 1
        return news

    @property
    def period(self) -> int:
        """The period that has begun last; -1 before the first."""
        return self.next_period - 1

    def ask(self, request: int, units: int) -> Shortage | None:
        """Have so many units unclaimed, if there are; return what is newly missing, to be bought.

        What is unclaimed, or missing already, is not demanded again.  Outside all periods nothing is.
        """
        shortage = self.shortages.get(request) or Shortage(self.period, 0)
        new = units - self.unclaimed_units(request) - shortage.units
        if new <= 0 or not 0 <= self.period < self.timeline.periods:
            return None
        self.demanded_units[request] += new
        fact = Fact(FactKind.DEMANDED, request=request, period=self.period, units=new)
        self.effects.note(fact)
        store = self.stores.find(request, MediumCode.FIBER)
        keys = store.consume(new) if store else []
        missing = new - len(keys)
        shortage.units += new
        self.shortages[request] = shortage
        self._serve(request, shortage, MediumCode.FIBER, keys)
        if not missing:
            return None
        self.late_units[request] += missing
        news = Shortage(self.period, missing)
        self._note_shortage(FactKind.SHORT, request, news, self.applications[request].target)
        return news

    def unclaimed_units(self, request: int) -> int:
        """Return how many units were delivered for applications outside, and wait for one."""
        return len(self.unclaimed.get(request, ()))

    def claim(self, request: int, units: int) -> list[Key]:
        """Take out the oldest unclaimed units; there must be as many."""
        waiting = self.unclaimed[request]
        self.unclaimed[request] = waiting[units:]
        return waiting[:units]

    def take_arrived(self, source: str, key_id: str) -> Key | None:
        """Take out a unit that a source had delivered here; None if it is not here."""
        found = self.arrived.get(key_id)
        if found is None or found[0] != source:
            return None
        del self.arrived[key_id]
        return found[1]

    def stock(self, request: int) -> Stock:
        """Return what could be given of a request now, and the most that may wait."""
        store = self.stores.find(request, MediumCode.FIBER)
        units = self.unclaimed_units(request) + (store.available_units if store else 0)
        return Stock(units, max(units, store.capacity_units if store else 0))

    def fill(self, request: int, made_s: float) -> None:
        """Deliver what a store has to an application that is short of key.

        Key that was made after the period began is for the next period, which counts on it.
        """
        shortage = self.shortages.get(request)
        store = self.stores.find(request, MediumCode.FIBER)
        if shortage and store and made_s <= self.timeline.begins_s(shortage.period):
            self._serve(request, shortage, MediumCode.FIBER, store.consume(shortage.units))

    def can_bring(self, row: DeliveryRow) -> bool:
        """Return whether an order is new, brings anything, and comes with a node that exists."""
        is_new = (MediumCode(row.medium), row.order) not in self.orders
        return is_new and row.units > 0 and self.quantum.knows(row.peer)

    def bring(self, row: DeliveryRow, now_s: float) -> None:
        """Take the block that a free-space service has made with the other end.

        The target confirms it until the source has decided what becomes of it.
        """
        medium = MediumCode(row.medium)
        source, target = (
            (self.node, row.peer) if row.is_source == TruthValue.TRUE else (row.peer, self.node)
        )
        channel = ChannelId(medium, source, target, row.order)
        material = self.quantum.block(channel, row.order, row.units * self.key_bytes)
        keys = name_keys(row.request, medium, row.order, material, self.key_bytes)
        self.orders[medium, row.order] = row
        self._store_of(row).expect(row.order, keys, now_s)
        self._note(FactKind.GENERATED, row, len(keys))
        if row.is_source != TruthValue.TRUE:
            confirm = Confirm(row.request, medium, row.order, row.units, tag(material))
            self.retransmissions.say((medium, row.order), key_manager_of(row.peer), confirm)

    def on_confirm(self, source: str, confirm: Confirm) -> None:
        """Deliver confirmed keys to the application that waits for them; void what it does not need.

        Blocks that are not here yet, or are decided already, are left alone: the target confirms again.
        """
        row = self.orders.get((confirm.medium, confirm.serial))
        if row is None or row.is_source != TruthValue.TRUE or source != key_manager_of(row.peer):
            return
        del self.orders[confirm.medium, confirm.serial]
        store = self._store_of(row)
        shortage = self.shortages.get(row.request)
        is_whole = confirm.units == row.units
        agreed = is_whole and store.confirm(confirm.serial, confirm.units, confirm.tag)
        if agreed and shortage is not None and shortage.period == row.period:
            keys = store.consume(shortage.units)
            self._serve(row.request, shortage, confirm.medium, keys)
        surplus = store.void(confirm.serial)
        if surplus:
            self._note(FactKind.DESTROYED, row, surplus)
            void = Discard(row.request, confirm.medium, row.order)
            self.acknowledgements.tell(key_manager_of(row.peer), void)

    def on_discard(self, source: str, discard: Discard) -> None:
        """Destroy the target's copy of what is left of keys that their source has voided."""
        row = self.orders.get((discard.medium, discard.serial))
        if (
            row is not None
            and row.is_source != TruthValue.TRUE
            and source == key_manager_of(row.peer)
        ):
            del self.orders[discard.medium, discard.serial]
            self.retransmissions.stop((discard.medium, discard.serial))
            self._note(FactKind.DESTROYED, row, self._store_of(row).void(discard.serial))

    def on_delivered(self, source: str, delivered: Delivered) -> None:
        """Hand the target's application the keys that the source's application got."""
        keys: list[Key] = []
        for key_id in delivered.key_ids:
            key = self._take(source, delivered, key_id)
            if key is None:
                self.effects.note(
                    Fact(
                        FactKind.REJECTED,
                        request=delivered.request,
                        peer=source,
                        key_id=key_id,
                        details=Reason("no such key here"),
                    )
                )
            else:
                keys.append(key)
        if keys:
            self._deliver(delivered, keys, "target", source)
        self._forget_used(delivered.medium)

    def remaining(self) -> list[Fact]:
        """Return the keys that free-space services brought and that were not used."""
        return [
            self._fact(FactKind.STORED, row, self._store_of(row).units_of(row.order))
            for row in self.orders.values()
        ]

    def _begin_period(self, period: int, is_over: bool) -> list[tuple[int, Shortage]]:
        """Serve a period; one that is over already gets nothing."""
        for request, application in self.applications.items():
            if self.tells_kept:
                self._note_kept(request, period)
            if request in self.external:
                continue
            units = self.demand.demanded_units(request, period)
            self.demanded_units[request] += units
            self.effects.note(Fact(FactKind.DEMANDED, request=request, period=period, units=units))
            store = self.stores.find(request, MediumCode.FIBER)
            keys = store.consume(units) if store and not is_over else []
            shortage = Shortage(period, units)
            self.shortages[request] = shortage
            self._serve(request, shortage, MediumCode.FIBER, keys)
            if shortage.units:
                self.late_units[request] += shortage.units
                self._note_shortage(FactKind.SHORT, request, shortage, application.target)
        return list(self.shortages.items())

    def _note_kept(self, request: int, period: int) -> None:
        """Note what has been kept for this period, beside what was made for it."""
        store = self.stores.find(request, MediumCode.FIBER)
        before_s = self.timeline.begins_s(period) - self.timeline.period_s
        units = store.units_made_until(before_s) if store else 0
        if units:
            self.kept_units += units
            self.effects.note(
                Fact(
                    FactKind.KEPT,
                    request=request,
                    period=period,
                    medium="end-to-end",
                    end="source",
                    units=units,
                    bits=8 * self.key_bytes * units,
                )
            )

    def _lapse(self) -> None:
        for request, shortage in self.shortages.items():
            self.lapsed_units[request] += shortage.units
            target = self.applications[request].target
            self._note_shortage(FactKind.LAPSED, request, shortage, target)
        self.shortages = {}

    def _serve(self, request: int, shortage: Shortage, medium: MediumCode, keys: list[Key]) -> None:
        if keys:
            target = key_manager_of(self.applications[request].target)
            names = tuple(key.id for key in keys)
            delivered = Delivered(request, medium, shortage.period, names)
            self._deliver(delivered, keys, "source", target)
            self.acknowledgements.tell(target, delivered)
        shortage.units -= len(keys)
        if shortage.units == 0:
            del self.shortages[request]

    def _take(self, source: str, delivered: Delivered, key_id: str) -> Key | None:
        store = self.stores.find(delivered.request, delivered.medium)
        return store.take(key_id) if store and store.is_filled_by(source) else None

    def _forget_used(self, medium: MediumCode) -> None:
        """Forget the orders of which no key is left."""
        for (item, order), row in list(self.orders.items()):
            if item is medium and not self._store_of(row).units_of(order):
                del self.orders[item, order]
                self.retransmissions.stop((item, order))

    def _store_of(self, row: DeliveryRow) -> KeyStore:
        """Return the store of an order, with room for what has been brought for its request."""
        medium, end = (
            MediumCode(row.medium),
            "source" if row.is_source == TruthValue.TRUE else "target",
        )
        open_rows = (item for (of, _), item in self.orders.items() if of is medium)
        capacity_units = sum(item.units for item in open_rows if item.request == row.request)
        return self.stores.open(row.request, medium, row.peer, end, capacity_units)

    def _deliver(self, delivered: Delivered, keys: list[Key], end: str, peer: str) -> None:
        """Note that keys are the application's, at one end."""
        medium, bits = MEDIUM_NAMES[delivered.medium], 8 * self.key_bytes * len(keys)
        self.delivered_bits[medium] += bits
        if delivered.request in self.external:
            for key in keys:
                self._keep(delivered.request, key, end, peer)
        self.effects.note(
            Fact(
                FactKind.DELIVERED,
                request=delivered.request,
                period=delivered.period,
                medium=medium,
                peer=peer,
                end=end,
                units=len(keys),
                bits=bits,
                key_id=" ".join([key.id for key in keys]),
                fingerprint=b"".join([key.fingerprint for key in keys]),
            )
        )

    def _keep(self, request: int, key: Key, end: str, peer: str) -> None:
        """Keep a unit for applications outside the network."""
        if end == "source":
            self.unclaimed.setdefault(request, []).append(key)
        else:
            self.arrived[key.id] = (peer, key)

    def _note_shortage(self, kind: FactKind, request: int, shortage: Shortage, target: str) -> None:
        self.effects.note(
            Fact(
                kind,
                request=request,
                period=shortage.period,
                peer=target,
                units=shortage.units,
                bits=8 * self.key_bytes * shortage.units,
            )
        )

    def _note(self, kind: FactKind, row: DeliveryRow, units: int) -> None:
        self.effects.note(self._fact(kind, row, units))

    def _fact(self, kind: FactKind, row: DeliveryRow, units: int) -> Fact:
        return Fact(
            kind,
            request=row.request,
            period=row.period,
            serial=row.order,
            medium=MEDIUM_NAMES[MediumCode(row.medium)],
            peer=row.peer,
            end="source" if row.is_source == TruthValue.TRUE else "target",
            units=units,
            bits=8 * self.key_bytes * units,
        )
