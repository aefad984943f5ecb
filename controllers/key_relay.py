"""End-to-end keys over fiber: made at the source, relayed by trusted nodes, confirmed by the target.

When an epoch begins, the source makes as many keys as its store has room for and sends them down the
path, encrypted with the block of one hop after the other.  A relay whose next hop has made less key
passes on only the first keys, as many as its block can carry, perhaps none.  The target tells the source
how many arrived, with a tag; only then are these available, and the others void.  The source retransmits
until then; a node that is asked again repeats what it did.  Keys that are not confirmed when the epoch
ends, and keys older than `lifetime_s`, are void; the target keeps its copy until the source has it
delivered or discarded.  A store has room for what a period brings and its `bridging_units` more, so that
what quiet periods leave serves busy ones.  With `lifetime_periods` a key expires when the epoch ends that
would make key for a period too many.

At each node the keys of an epoch of a reservation pass through these states in order:

    reserved    the blocks of the epoch are there; nothing has been encrypted with them
    forwarded   the keys went on: to the next node, or at the target as a tag to the source
    confirmed   at the source: the target has those that every hop could carry
    released    the epoch is over, or the keys are void: what comes later comes too late

What was sent on is kept until the release, so that a repeat gets the same answer: no bit of a pad is used
for two keys.  Relays keep nothing beyond an epoch.  Nothing here knows what keys are for.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import IntEnum, auto
from math import inf

from controllers.channel import Channel, begin_epochs
from controllers.key_store import KeyStore, KeyStores, name_keys
from controllers.link_blocks import Block, BlockMaker
from controllers.link_notes import LinkNotes
from controllers.ports import NodeWorld
from controllers.reliable_delivery import Acknowledgements, Retransmissions
from protos.core import Effects, key_manager_of
from protos.facts import Fact, FactKind, Reason
from protos.key_changes import Key, tag
from protos.keys import Confirm, Discard, Relay
from protos.mib import ChannelRow, TransceiverRow
from protos.syntax import MediumCode


class Stage(IntEnum):
    """How far keys have come at a node; they may be released at any time, and else come one stage on."""

    RESERVED = auto()
    FORWARDED = auto()
    CONFIRMED = auto()
    RELEASED = auto()


class RelayState:
    """See the module.  A step that is not possible raises `ValueError`."""

    def __init__(self, epoch: int) -> None:
        self.epoch = epoch
        self.stage = Stage.RESERVED
        self.onward: tuple[str, Relay | Confirm] | None = None

    def forward(self, destination: str, onward: Relay | Confirm) -> None:
        """Send the keys on; `onward` is what is sent again when somebody asks again."""
        self._come_to(Stage.FORWARDED)
        self.onward = (destination, onward)

    def confirm(self) -> None:
        """Take note that the target has the keys."""
        self._come_to(Stage.CONFIRMED)

    def release(self) -> None:
        """Nothing more is done for these keys here."""
        self._come_to(Stage.RELEASED)
        self.onward = None

    def _come_to(self, stage: Stage) -> None:
        if stage is not Stage.RELEASED and stage != self.stage + 1:
            raise ValueError(f"keys that are {self.stage.name} cannot be {stage.name}")
        self.stage = stage


@dataclass
class KeyRelay:
    """The fiber channels of one node, and the end-to-end stores that they fill."""

    node: str
    key_bytes: int
    qber_limit: float
    world: NodeWorld
    effects: Effects
    stores: KeyStores
    retransmissions: Retransmissions
    acknowledgements: Acknowledgements
    lifetime_s: float | None = None
    lifetime_ms: int | None = None
    bridging_units: Mapping[int, int] = field(default_factory=dict)
    relay_states: dict[int, RelayState] = field(default_factory=dict)
    channels: dict[int, Channel] = field(default_factory=dict)
    transceivers: dict[tuple[int, int], TransceiverRow] = field(default_factory=dict)
    latest: dict[str, Block] = field(default_factory=dict)
    released: dict[int, int] = field(default_factory=dict)
    last_epoch: dict[int, int] = field(default_factory=dict)
    expired_units: int = 0
    due_ms: float = inf  # of the channel that is due first
    links: LinkNotes = field(init=False)
    maker: BlockMaker = field(init=False)

    def __post_init__(self) -> None:
        self.links = LinkNotes(self.effects)
        here = (self.node, self.key_bytes, self.qber_limit)
        self.maker = BlockMaker(*here, self.world, self.world)

    def configure(self, row: ChannelRow, wavelengths: int | None = None) -> None:
        """Take part in a reservation from now on, with a store if the node is an end of it.

        It has as many wavelengths as given, or else one for each unit.

        It replaces an earlier generation and repeats none of its epochs; a generation that has been
        released already is over.
        """
        if row.generation <= self.released.get(row.request, -1):
            return
        self.release(row.request, row.generation - 1)
        channel = Channel(self.node, row, self.key_bytes, wavelengths)
        channel.skip(self.last_epoch.get(row.request, 0), self.maker)
        self.channels[row.request] = channel
        self.due_ms = min(self.due_ms, channel.due_ms)
        if channel.is_source or channel.is_target:
            self._own_store(channel)

    def release(self, request: int, generation: int) -> None:
        """Take no part in a reservation any more, up to this generation; available keys stay so."""
        self.released[request] = max(generation, self.released.get(request, -1))
        channel = self.channels.get(request)
        if channel is None or channel.row.generation > generation:
            return
        del self.channels[request]
        self._look_ahead()
        self._expire(channel)
        self._end_epoch(channel)
        self.transceivers = {
            index: row for index, row in self.transceivers.items() if row.request != request
        }

    def begin_epochs(self, now_s: float) -> None:
        """Renew the blocks of every channel whose epoch is over, and send new keys on their way."""
        while self.due_ms / 1000 <= now_s:
            turning = [item for item in self.channels.values() if item.due_ms == self.due_ms]
            for channel in turning:
                self._end_epoch(channel)
                self._expire(channel)
            for blocks in begin_epochs(turning, self.maker):
                self.latest[blocks.peer] = blocks.block(-1)
                self.links.made(blocks)
            for channel in turning:
                request = channel.row.request
                self.relay_states[request] = RelayState(channel.epoch)
                self.last_epoch[request] = channel.epoch
                if channel.is_source:
                    self._send_keys(channel)
            self._look_ahead()

    def expire(self, now_s: float, period: int) -> None:
        """Void, at the source, available keys that have become too old in this period."""
        if self.lifetime_s is not None:
            for request, store in self._sources():
                for serial in store.available_since(now_s - self.lifetime_s):
                    self._void(request, store, serial)
        if self.lifetime_ms is not None:
            for request, store in self._sources():
                while (at_s := self._expires_s(store)) is not None and at_s <= now_s:
                    serial = store.oldest_serial
                    self.expired_units += store.units_of(serial)
                    self._void(request, store, serial, FactKind.EXPIRED, period)

    def on_relay(self, source: str, relay: Relay) -> None:
        """Pass keys on to the next hop, or keep them at the end of the path."""
        channel = self.channels.get(relay.request)
        if channel is None or source != key_manager_of(channel.row.upstream):
            self._reject(relay.request, source, "not upstream of this node")
            return
        state = self.relay_states.get(relay.request)
        if state is None or state.epoch != relay.epoch:
            reason = f"relayed in epoch {relay.epoch}, but this node is in {channel.epoch}"
            self._reject(relay.request, source, reason)
        elif state.onward is not None:
            self.effects.send(*state.onward)
        elif state.stage is Stage.RELEASED:
            self._reject(relay.request, source, "these keys are void")
        else:
            self._pass_on(source, channel, state, relay)

    def on_confirm(self, source: str, confirm: Confirm) -> None:
        """Make available what has arrived, if the tag agrees; void it at both ends if not."""
        store = self._store(confirm.request)
        state = self.relay_states.get(confirm.request)
        if store is None or state is None or store.end != "source":
            return
        if source != key_manager_of(store.peer):
            return
        if state.stage is Stage.FORWARDED and state.epoch == confirm.serial:
            self.retransmissions.stop(confirm.request)
            sent_units = store.units_of(confirm.serial)
            if store.confirm(confirm.serial, confirm.units, confirm.tag):
                state.confirm()
                self._note_stranded(confirm, sent_units - confirm.units)
            else:
                self._end_epoch(self.channels[confirm.request])

    def on_discard(self, source: str, discard: Discard) -> None:
        """Destroy the target's copy of keys that their source, and nobody else, has voided."""
        store = self._store(discard.request)
        if store is None or not store.is_filled_by(source):
            return
        state = self.relay_states.get(discard.request)
        if state is not None and state.epoch == discard.serial:
            state.release()
        units = store.void(discard.serial)
        if units:
            self._note(discard.request, FactKind.DESTROYED, "target", discard.serial, units)

    @property
    def wake_s(self) -> float | None:
        """When the next epoch is over, or keys become too old."""
        times = [self.due_ms / 1000] if self.channels else []
        if self.lifetime_s is not None:
            made = (store.oldest_s for _, store in self._sources())
            times += [at_s + self.lifetime_s for at_s in made if at_s is not None]
        if self.lifetime_ms is not None:
            ends = (self._expires_s(store) for _, store in self._sources())
            times += [at_s for at_s in ends if at_s is not None]
        return min(times, default=None)

    def _expires_s(self, store: KeyStore) -> float | None:
        """Return when the oldest key of a store has had its lifetime, as exactly as epochs end."""
        made_s = store.oldest_s
        if made_s is None or self.lifetime_ms is None:
            return None
        return (round(made_s * 1000) + self.lifetime_ms) / 1000

    def _look_ahead(self) -> None:
        self.due_ms = min((item.due_ms for item in self.channels.values()), default=inf)

    def _send_keys(self, channel: Channel) -> None:
        request, store = channel.row.request, self._own_store(channel)
        units = min(channel.ready_units(), store.room_units)
        if units == 0:
            return
        size = units * self.key_bytes
        material = self.world.fresh(self.node, request, channel.epoch, size)
        store.expect(channel.epoch, self._named(request, channel.epoch, material), channel.made_s)
        self._note(request, FactKind.CREATED, "source", channel.epoch, units)
        destination, onward = self._encrypt(channel, channel.epoch, material)
        self.relay_states[request].forward(destination, onward)
        self.retransmissions.say(request, destination, onward)

    def _pass_on(self, source: str, channel: Channel, state: RelayState, relay: Relay) -> None:
        try:
            material = channel.decrypt(relay.epoch, relay.ciphertext, relay.errors)
            self._note_used(channel, channel.row.upstream, material)
            if channel.is_target:
                state.forward(
                    key_manager_of(channel.row.peer), self._keep(channel, relay.epoch, material)
                )
            else:
                size = min(len(material), channel.ready_units() * self.key_bytes)
                state.forward(*self._encrypt(channel, relay.epoch, material[:size]))
        except ValueError as error:
            state.release()
            self._reject(relay.request, source, str(error))
        if state.onward is not None:
            self.effects.send(*state.onward)

    def _encrypt(self, channel: Channel, epoch: int, material: bytes) -> tuple[str, Relay]:
        ciphertext = channel.encrypt(material)
        self._note_used(channel, channel.row.downstream, material)
        units = len(material) // self.key_bytes
        onward = Relay(channel.row.request, epoch, units, ciphertext, channel.errors_sent())
        return key_manager_of(channel.row.downstream), onward

    def _note_used(self, channel: Channel, peer: str, material: bytes) -> None:
        if material:
            self.links.used(channel.row.request, peer, channel.epoch, 8 * len(material))

    def _expire(self, channel: Channel) -> None:
        """Give up what is left of the blocks of an epoch."""
        for peer, bits in channel.expire():
            self.links.expired(channel.row.request, peer, channel.epoch, bits)

    def _keep(self, channel: Channel, epoch: int, material: bytes) -> Confirm:
        request = channel.row.request
        keys = self._named(request, epoch, material)
        if keys:
            self._own_store(channel).expect(epoch, keys, channel.made_s)
            self._note(request, FactKind.CREATED, "target", epoch, len(keys))
        return Confirm(request, MediumCode.FIBER, epoch, len(keys), tag(material))

    def _note_stranded(self, confirm: Confirm, units: int) -> None:
        """Account for keys that a hop of the path could not carry: their target never had them."""
        if units:
            self._note(confirm.request, FactKind.DESTROYED, "source", confirm.serial, units)

    def _named(self, request: int, epoch: int, material: bytes) -> list[Key]:
        return name_keys(request, MediumCode.FIBER, epoch, material, self.key_bytes)

    def _end_epoch(self, channel: Channel) -> None:
        """Release what an epoch has reserved; at the source, give up what was not confirmed."""
        state = self.relay_states.pop(channel.row.request, None)
        if state is None:
            return
        if channel.is_source and state.stage is Stage.FORWARDED:
            self.retransmissions.stop(channel.row.request)
            self._void(channel.row.request, self._own_store(channel), state.epoch)
        state.release()

    def _void(
        self,
        request: int,
        store: KeyStore,
        serial: int,
        kind: FactKind = FactKind.DESTROYED,
        period: int = -1,
    ) -> None:
        """Destroy keys here, at the source, and have the target destroy them."""
        self._note(request, kind, "source", serial, store.void(serial), period)
        void = Discard(request, MediumCode.FIBER, serial)
        self.acknowledgements.tell(key_manager_of(store.peer), void)

    def _sources(self) -> Iterator[tuple[int, KeyStore]]:
        """Yield the stores that this node fills."""
        stores = self.stores.of(MediumCode.FIBER)
        return ((request, store) for request, store in stores if store.end == "source")

    def _store(self, request: int) -> KeyStore | None:
        return self.stores.find(request, MediumCode.FIBER)

    def _own_store(self, channel: Channel) -> KeyStore:
        """Return the store of a channel that ends here."""
        row = channel.row
        end = "source" if channel.is_source else "target"
        beyond_units = self.bridging_units.get(row.request, 0)
        capacity_units = row.units + beyond_units if row.units else 0
        return self.stores.open(row.request, MediumCode.FIBER, row.peer, end, capacity_units)

    def _note(  # noqa: PLR0917
        self, request: int, kind: FactKind, end: str, serial: int, units: int, period: int = -1
    ) -> None:
        self.effects.note(
            Fact(
                kind,
                request=request,
                period=period,
                serial=serial,
                medium="end-to-end",
                end=end,
                units=units,
                bits=8 * units * self.key_bytes,
            )
        )

    def _reject(self, request: int, source: str, reason: str) -> None:
        self.effects.note(
            Fact(FactKind.REJECTED, request=request, peer=source, details=Reason(reason))
        )
