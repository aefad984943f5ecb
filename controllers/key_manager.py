"""The local key manager of one QKD node (key manager and key supply agent of ITU-T Y.3803).

It is an SNMP agent towards the controllers, a peer of other key managers on the path of its keys,
and the source of keys for applications, those outside the network too (`controllers.key_access`).  It
knows the other ends by name only, and neither prices nor plans.  If a call succeeds, everything it
answered has been noted; a message that it cannot assign is noted as rejected and changes nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from controllers import link_notes
from controllers.key_access import NO_ACCESS, KeyAccess, NodeAccess
from controllers.key_delivery import Application, KeyDelivery, Shortage
from controllers.key_relay import KeyRelay
from controllers.key_store import KeyStores
from controllers.link_blocks import Block
from controllers.managed import ManagedCore
from controllers.node_status import StatusSource
from controllers.ports import NodeWorld
from controllers.reliable_delivery import Acknowledgements, Instruction, Retransmissions
from controllers.snmp_agent import Refusal, Tables
from protos.access import Asked
from protos.core import GLOBAL_MANAGER, Measure, Stock, Timeline, Totals, key_manager_of
from protos.facts import Fact, FactKind, Reason, label_of
from protos.key_changes import KeyChange
from protos.keys import Ack, Assigned, Confirm, Delivered, Discard, KeyTraffic, Relay
from protos.mib import (
    ChannelRow,
    DeliveryRow,
    KeyBlockRow,
    KeyStoreRow,
    Row,
    ShortageRow,
    TransceiverRow,
    UsageRow,
)
from protos.node_status import NodeStatus
from protos.notifications import KEY_SHORTAGE
from protos.pdu import ErrorStatus, Pdu, Verb
from protos.rows import notify
from protos.syntax import MediumCode, RowStatus


@dataclass(frozen=True)
class KeyManagerConfig:
    """What one local key manager is told when it starts.

    One end of each link reports its measurements: this node does for links to the `reported` neighbours.
    Stores keep `bridging_units`, by request, beyond what a reservation brings in a period, and keys serve
    in `lifetime_periods`; what is kept from one period for the next is noted if it `tells_kept`.
    """

    node: str
    neighbours: frozenset[str]
    reported: frozenset[str]
    applications: tuple[Application, ...]
    timeline: Timeline
    unit_bits: int
    qber_limit: float
    retry_after_s: float
    lifetime_s: float | None = None
    lifetime_periods: int | None = None
    bridging_units: Mapping[int, int] = field(default_factory=dict)
    tells_kept: bool = False


class LocalKeyManager(ManagedCore[None]):
    """See the module.  Its own PDUs, informs of shortages, need no more than an answer."""

    def __init__(
        self, config: KeyManagerConfig, world: NodeWorld, access: NodeAccess = NO_ACCESS
    ) -> None:
        super().__init__(key_manager_of(config.node), config.retry_after_s)
        self._config = config
        key_bytes = config.unit_bits // 8
        self._stores = KeyStores(config.unit_bits, self._effects.keep)
        self._retransmissions = Retransmissions(self._effects, config.retry_after_s)
        self._acknowledgements = Acknowledgements(self._effects, self._retransmissions)
        self._relay = KeyRelay(
            config.node,
            key_bytes,
            config.qber_limit,
            world,
            self._effects,
            self._stores,
            self._retransmissions,
            self._acknowledgements,
            config.lifetime_s,
            _lifetime_ms(config),
            config.bridging_units,
        )
        self._delivery = KeyDelivery(
            config.node,
            key_bytes,
            config.timeline,
            {item.request: item for item in config.applications},
            world,
            world,
            self._effects,
            self._stores,
            self._retransmissions,
            self._acknowledgements,
            access.external,
            tells_kept=config.tells_kept,
        )
        self._access = KeyAccess(
            config.node,
            config.unit_bits,
            access,
            random=world,
            effects=self._effects,
            delivery=self._delivery,
            acknowledgements=self._acknowledgements,
        )

    def hear(self, asked: Sequence[Asked]) -> None:
        """Learn of calls of SAEs, by number; those that are known already are passed over."""
        self._access.hear(asked)

    @property
    def last_call(self) -> int:
        """The greatest number of a call that it knows; 0 if there is none."""
        return self._access.last_call

    @property
    def is_unsure(self) -> bool:
        """Whether it has given keys in answers that are not known to have left."""
        return self._access.is_unsure

    def stock(self, target: str) -> Stock | None:
        """Return what it could give for SAEs of a node; None if nothing is provisioned to there."""
        return self._access.stock(target)

    def status(self, now_s: float) -> NodeStatus:
        """Return what it shows of its node; nothing is changed."""
        neighbours = tuple(sorted(self._config.neighbours))
        parts = (self._relay, self._stores, self._delivery, self._access)
        return StatusSource(self._config.node, neighbours, self._config.unit_bits, *parts).at(now_s)

    def waits(self) -> bool:
        """Return whether an answer is missing, or an effect of what was said."""
        return super().waits() or self._retransmissions.wake_s is not None

    def close(self) -> list[Fact]:
        """Return the key that is left, as facts."""
        left_in_pads = link_notes.stored(self._relay.channels.values())
        return [*left_in_pads, *self._left_in_stores(), *self._delivery.remaining()]

    def key_changes(self) -> list[KeyChange]:
        """Return what all stores hold."""
        return list(self._stores.changes())

    def totals(self) -> Totals:
        """Return running totals of the applications here."""
        return self._delivery.totals

    def measures(self) -> list[Measure]:
        """Return the metrics of this node."""
        return [*self._application_measures(), *self._store_measures(), *self._link_measures()]

    def _act(self, now_s: float) -> None:
        self._relay.expire(now_s, self._delivery.period)
        self._relay.begin_epochs(now_s)
        for request, shortage in self._delivery.begin_periods(now_s):
            self._inform(request, shortage, now_s)
        for request, shortage in self._access.answer(now_s):
            self._inform(request, shortage, now_s)
        self._acknowledgements.answer()
        self._retransmissions.resend(now_s)
        self._relay.links.flush()

    def _due_s(self) -> float | None:
        parts = (self._relay, self._delivery, self._retransmissions, self._access)
        wakes = (part.wake_s for part in parts)
        return min((at_s for at_s in wakes if at_s is not None), default=None)

    def _on_answer(self, source: str, context: None, answer: Pdu, now_s: float) -> None:
        pass

    def _on_traffic(self, source: str, body: KeyTraffic) -> None:
        match body:
            case Relay():
                self._relay.on_relay(source, body)
            case Confirm(medium=MediumCode.FIBER):
                self._relay.on_confirm(source, body)
                channel = self._relay.channels.get(body.request)
                if channel is not None:
                    self._delivery.fill(body.request, channel.made_s)
            case Confirm():
                self._delivery.on_confirm(source, body)
            case Delivered() | Assigned() | Discard() if self._stores.are_filled_by(source):
                for instruction in self._acknowledgements.accept(source, body):
                    self._carry_out(source, instruction)
            case Ack():
                self._acknowledgements.on_ack(source, body)
            case _:
                why = Reason("not the source of any key here")
                self._effects.note(Fact(FactKind.REJECTED, peer=source, details=why))

    def _carry_out(self, source: str, instruction: Instruction) -> None:
        match instruction:
            case Delivered():
                self._delivery.on_delivered(source, instruction)
            case Assigned():
                self._access.on_assigned(source, instruction)
            case Discard(medium=MediumCode.FIBER):
                self._relay.on_discard(source, instruction)
            case Discard():
                self._delivery.on_discard(source, instruction)

    def _accept(self, rows: Sequence[Row], _source: str, now_s: float) -> Refusal | None:
        for index, row in enumerate(rows):
            if not isinstance(row, ChannelRow | TransceiverRow | DeliveryRow):
                return Refusal(ErrorStatus.NO_CREATION, index)
            if isinstance(row, ChannelRow) and not self._fits(row):
                return Refusal(ErrorStatus.INCONSISTENT_VALUE, index)
            if isinstance(row, DeliveryRow) and row.medium not in (
                MediumCode.SATELLITE,
                MediumCode.UAV,
            ):
                return Refusal(ErrorStatus.WRONG_VALUE, index)
            if isinstance(row, DeliveryRow) and not self._delivery.can_bring(row):
                return Refusal(ErrorStatus.INCONSISTENT_VALUE, index)
        for row in rows:
            self._take(row, rows, now_s)
        return None

    def _fits(self, row: ChannelRow) -> bool:
        """Whether a channel that is to go is there, and one that is to come is new and possible."""
        if row.row_status == RowStatus.DESTROY:
            return True
        channel = self._relay.channels.get(row.request)
        is_here = channel is not None and channel.row.generation >= row.generation
        around = {name for name in (row.upstream, row.downstream) if name}
        return (
            not is_here
            and bool(around)
            and around <= self._config.neighbours
            and (bool(row.peer) or len(around) == 2)
            and row.units > 0
            and 0 <= row.start_ms < row.due_ms
            and row.period_ms > 0
        )

    def _take(self, row: Row, rows: Sequence[Row], now_s: float) -> None:
        """Carry out one of the rows of a Set."""
        match row:
            case ChannelRow(row_status=RowStatus.DESTROY):
                self._relay.release(row.request, row.generation)
            case ChannelRow():
                tuned = (isinstance(r, TransceiverRow) and r.request == row.request for r in rows)
                self._relay.configure(row, sum(tuned) or None)
            case TransceiverRow() if row.request in self._relay.channels:
                self._relay.transceivers[row.request, row.position] = row
            case DeliveryRow():
                self._delivery.bring(row, now_s)

    def _inform(self, request: int, shortage: Shortage, now_s: float) -> None:
        row = ShortageRow(request, shortage.period, shortage.units)
        pdu = notify(KEY_SHORTAGE, row, 0, now_s, Verb.INFORM)
        self._request(GLOBAL_MANAGER, pdu, None, now_s)

    def _tables(self) -> Tables:
        relaying, serving = self._relay, self._delivery
        return {
            ChannelRow: (channel.row for channel in relaying.channels.values()),
            KeyBlockRow: (
                _block_row(request, index, peer, channel.blocks[peer])
                for request, channel in relaying.channels.items()
                for index, peer in enumerate(channel.neighbours, 1)
                if peer in channel.blocks
            ),
            TransceiverRow: relaying.transceivers.values(),
            KeyStoreRow: (
                KeyStoreRow(request, store.peer, store.available_units, store.capacity_units)
                for request, store in self._stores.of(MediumCode.FIBER)
            ),
            UsageRow: (
                UsageRow(request, serving.next_period, units)
                for request, units in serving.demanded_units.items()
            ),
            ShortageRow: (
                ShortageRow(request, short.period, short.units)
                for request, short in serving.shortages.items()
            ),
        }

    def _left_in_stores(self) -> Iterator[Fact]:
        for request, store in self._stores.of(MediumCode.FIBER):
            if store.held_units:
                yield Fact(
                    FactKind.STORED,
                    request=request,
                    medium="end-to-end",
                    peer=store.peer,
                    end=store.end,
                    units=store.held_units,
                    bits=store.held_units * self._config.unit_bits,
                )

    def _application_measures(self) -> Iterator[Measure]:
        node = ("node", self._config.node)
        serving = self._delivery
        for name, units in (
            ("key_demanded_bits_total", serving.demanded_units),
            ("key_shortfall_bits_total", serving.late_units),
            ("key_lapsed_bits_total", serving.lapsed_units),
        ):
            by_kind: Counter[str] = Counter()
            for item in self._config.applications:
                by_kind[item.kind] += units[item.request] * self._config.unit_bits
            for kind, bits in by_kind.items():
                yield Measure(name, (node, ("application", kind)), bits)
        for name, count in (
            ("key_expired_bits_total", self._relay.expired_units),
            ("key_kept_bits_total", serving.kept_units),
        ):
            yield Measure(name, (node,), count * self._config.unit_bits)
        for medium, bits in self._delivery.delivered_bits.items():
            yield Measure("keys_delivered_bits_total", (node, ("medium", medium)), bits)
        if self._access.is_used:
            yield Measure("key_delivery_held_keys", (node,), self._access.held_keys)

    def _store_measures(self) -> Iterator[Measure]:
        node = ("node", self._config.node)
        available, capacity = Counter[str](), Counter[str]()
        oldest_s: list[float] = []
        for _, store in self._stores.of(MediumCode.FIBER):
            available[store.peer] += store.available_units * self._config.unit_bits
            if store.end == "source":  # at the target keys are expected until they are delivered
                capacity[store.peer] += store.capacity_units * self._config.unit_bits
            oldest_s += [] if store.oldest_s is None else [store.oldest_s]
        for peer, bits in available.items():
            yield Measure("key_store_available_bits", (node, ("peer", peer)), bits)
        for peer, bits in capacity.items():
            yield Measure("key_store_capacity_bits", (node, ("peer", peer)), bits)
        if oldest_s:
            yield Measure("key_store_oldest_key_timestamp_seconds", (node,), min(oldest_s))

    def _link_measures(self) -> Iterator[Measure]:
        for peer, block in self._relay.latest.items():
            if peer in self._config.reported:
                link = ("link", label_of((self._config.node, peer)))
                rate = "link_secret_key_rate_bits_per_second"
                yield Measure(rate, (link, ("medium", "fiber")), block.sample.skr_bps)
                yield Measure("link_qber_ratio", (link,), block.qber)


def _lifetime_ms(config: KeyManagerConfig) -> int | None:
    """Return how long a key may serve, in the milliseconds in which epochs are counted."""
    if config.lifetime_periods is None:
        return None
    return config.lifetime_periods * round(config.timeline.period_s * 1000)


def _block_row(request: int, index: int, peer: str, block: Block) -> KeyBlockRow:
    bits = 8 * block.n_bytes
    return KeyBlockRow(request, index, peer, block.epoch, block.sifted_bits, block.errors, bits)
