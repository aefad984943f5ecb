"""End-to-end keys over fiber: made at the source, relayed by trusted nodes, confirmed by the target.

When an epoch begins, the source makes as many keys as its store has room for and sends them down the
path, encrypted with one hop's block after the other.  The target tells the source a tag of what arrived;
only then is a key available.  The target keeps its copy until the source says that it was delivered
or is void.  Relays keep nothing.  Nothing here knows what keys are for.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from controllers.channel import Block, Channel
from controllers.key_store import KeyStore, KeyStores, name_keys
from controllers.ports import World
from protos.core import Effects, Fact, FactKind, key_manager_of
from protos.holdings import Key, tag
from protos.keys import Confirm, Discard, Relay
from protos.mib import ChannelRow, MediumCode, TransceiverRow


@dataclass
class Relaying:
    """The fiber channels of one node, and the end-to-end stores that they fill."""

    node: str
    key_bytes: int
    qber_limit: float
    world: World
    effects: Effects
    stores: KeyStores
    channels: dict[int, Channel] = field(default_factory=dict)
    transceivers: dict[tuple[int, int], TransceiverRow] = field(default_factory=dict)
    latest: dict[str, Block] = field(default_factory=dict)

    def configure(self, row: ChannelRow) -> None:
        """Take part in a reservation from now on, with a store if the node is an end of it."""
        channel = Channel(self.node, row, self.key_bytes, self.qber_limit)
        self.channels[row.request] = channel
        if channel.is_source or channel.is_target:
            end = "source" if channel.is_source else "target"
            self.stores.open(row.request, MediumCode.FIBER, row.peer, end, row.units)

    def release(self, request: int) -> None:
        """Take no part in a reservation any more; keys that are available stay so."""
        channel = self.channels.pop(request)
        for fact in channel.expire():
            self.effects.note(fact)
        if channel.is_source:
            self._void_expected(channel)
        self.transceivers = {
            place: row for place, row in self.transceivers.items() if row.request != request
        }

    def begin_epochs(self, now_s: float) -> None:
        """Renew the blocks of every channel whose epoch is over, and send new keys on their way."""
        for channel in self.channels.values():
            while channel.due_s <= now_s:
                for fact in channel.begin_epoch(self.world, self.world):
                    self.effects.note(fact)
                self.latest |= channel.blocks
                if channel.is_source:
                    self._send_keys(channel)

    def on_relay(self, source: str, relay: Relay) -> None:
        """Pass keys on to the next hop, or keep them at the end of the path."""
        channel = self.channels.get(relay.request)
        if channel is None or source != key_manager_of(channel.row.upstream):
            self._reject(relay.request, source, "not upstream of this node")
            return
        try:
            material, used = channel.decrypt(relay.epoch, relay.ciphertext, relay.errors)
            self.effects.note(used)
            if channel.is_target:
                self._keep(channel, relay.epoch, material)
            else:
                self._forward(channel, relay, material)
        except ValueError as error:
            self._reject(relay.request, source, str(error))

    def on_confirm(self, confirm: Confirm) -> None:
        """Make keys available whose tag agrees; void the others at both ends."""
        store = self._store(confirm.request)
        if store is None or not store.expects(confirm.serial):
            return
        if not store.confirm(confirm.serial, confirm.tag):
            self._void(confirm.request, store, confirm.serial)

    def on_discard(self, discard: Discard) -> None:
        """Destroy the target's copy of keys that the source has voided."""
        store = self._store(discard.request)
        units = store.void(discard.serial) if store else 0
        if units:
            self._note(discard.request, FactKind.DESTROYED, "target", discard.serial, units)

    @property
    def wake_s(self) -> float | None:
        """When the next epoch is over."""
        return min((channel.due_s for channel in self.channels.values()), default=None)

    def _send_keys(self, channel: Channel) -> None:
        request, store = channel.row.request, self._own_store(channel)
        self._void_expected(channel)
        units = min(channel.ready_units(), store.room_units)
        if units == 0:
            return
        size = units * self.key_bytes
        material = self.world.fresh(self.node, request, channel.epoch, size)
        store.expect(channel.epoch, self._named(request, channel.epoch, material))
        self._note(request, FactKind.CREATED, "source", channel.epoch, units)
        self._forward(channel, Relay(request, channel.epoch, units, b""), material)

    def _forward(self, channel: Channel, relay: Relay, material: bytes) -> None:
        ciphertext, used = channel.encrypt(material)
        self.effects.note(used)
        errors = channel.blocks[channel.row.downstream].errors
        onward = Relay(relay.request, relay.epoch, relay.units, ciphertext, errors)
        self.effects.send(key_manager_of(channel.row.downstream), onward)

    def _keep(self, channel: Channel, epoch: int, material: bytes) -> None:
        request = channel.row.request
        keys = self._named(request, epoch, material)
        self._own_store(channel).expect(epoch, keys)
        self._note(request, FactKind.CREATED, "target", epoch, len(keys))
        confirm = Confirm(request, MediumCode.FIBER, epoch, tag(material))
        self.effects.send(key_manager_of(channel.row.peer), confirm)

    def _named(self, request: int, epoch: int, material: bytes) -> list[Key]:
        return name_keys(request, MediumCode.FIBER, epoch, material, self.key_bytes)

    def _void_expected(self, channel: Channel) -> None:
        """Give up, at the source, what the target has not confirmed."""
        store = self._own_store(channel)
        for serial in store.expected_serials():
            self._void(channel.row.request, store, serial)

    def _void(self, request: int, store: KeyStore, serial: int) -> None:
        """Destroy keys here, at the source, and have the target destroy them."""
        self._note(request, FactKind.DESTROYED, "source", serial, store.void(serial))
        void = Discard(request, MediumCode.FIBER, serial)
        self.effects.send(key_manager_of(store.peer), void)

    def _store(self, request: int) -> KeyStore | None:
        return self.stores.find(request, MediumCode.FIBER)

    def _own_store(self, channel: Channel) -> KeyStore:
        """Return the store of a channel that ends here."""
        row = channel.row
        end = "source" if channel.is_source else "target"
        return self.stores.open(row.request, MediumCode.FIBER, row.peer, end, row.units)

    def _note(self, request: int, kind: FactKind, end: str, serial: int, units: int) -> None:
        self.effects.note(
            Fact(
                kind,
                request=request,
                serial=serial,
                medium="end-to-end",
                end=end,
                units=units,
                bits=8 * units * self.key_bytes,
            )
        )

    def _reject(self, request: int, source: str, reason: str) -> None:
        self.effects.note(Fact(FactKind.REJECTED, request=request, peer=source, note=reason))
