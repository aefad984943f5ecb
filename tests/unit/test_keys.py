"""Key stores, pads and channels: every key is somewhere, and is used once."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from controllers.channel import Channel, begin_epochs, fiber_channel
from controllers.gathering import Progress
from controllers.key_store import KeyStore, name_keys
from controllers.link_blocks import BlockMaker, LinkBlocks
from controllers.link_notes import LinkNotes
from controllers.ports import ChannelId, LinkSample
from protos.core import Effects
from protos.facts import FactKind, Shares
from protos.key_changes import Key, KeyChange, KeysConfirmed, KeysGone, KeysHeld, StoreOpened, tag
from protos.mib import ChannelRow
from protos.syntax import MediumCode


class _Fiber:
    """A world of one fiber: what it offers can be changed."""

    def __init__(self, skr_bps: float = 1000.0, qber: float = 0.02, wrong: int = 0) -> None:
        sifted_bps = 100.0 if wrong else 0.0
        self.offer = LinkSample(skr_bps, qber, sifted_bps=sifted_bps)
        self.wrong, self.wrong_of = wrong, dict[int, int]()

    def sample(
        self, _medium: MediumCode, _a: str, _b: str, _now_s: float, _since_s: float | None = None
    ) -> LinkSample:
        return self.offer

    def errors(
        self, channels: Sequence[ChannelId], _serial: int, sifted_bits: Sequence[int], _qber: float
    ) -> list[int]:
        wrong = [self.wrong_of.get(channel.number, self.wrong) for channel in channels]
        return [min(pair) for pair in zip(wrong, sifted_bits, strict=True)]

    def block(self, channel: ChannelId, serial: int, n_bytes: int) -> bytes:
        return (f"{channel}#{serial}".encode() * n_bytes)[:n_bytes]

    def blocks(
        self, channels: Sequence[ChannelId], serial: int, n_bytes: Sequence[int]
    ) -> list[bytes]:
        return [
            self.block(channel, serial, size)
            for channel, size in zip(channels, n_bytes, strict=True)
        ]

    def at(self, node: str) -> BlockMaker:
        """Return how a node makes blocks here."""
        return BlockMaker(node, 32, 0.11, self, self)


def _channel(
    node: str, upstream: str, downstream: str, units: int = 2, request: int = 0
) -> Channel:
    row = ChannelRow(request, upstream, downstream, "", units, 1_000, 11_000, 10_000, 4)
    return Channel(node, row, key_bytes=32)


def _begin(fiber: _Fiber, *channels: Channel) -> LinkBlocks:
    """Begin the next epoch of channels that end at one link."""
    (blocks,) = begin_epochs(channels, fiber.at("A"))
    return blocks


def test_what_one_end_encrypts_the_other_decrypts_and_both_use_the_same_bits() -> None:
    a, b, fiber = _channel("A", "", "B"), _channel("B", "A", ""), _Fiber()
    _begin(fiber, a)
    _begin(fiber, b)
    secret = bytes(range(64))
    assert a.left() == {"B": 512}
    ciphertext = a.encrypt(secret)
    plain = b.decrypt(1, ciphertext)
    assert ciphertext != secret
    assert plain == secret
    assert a.left() == b.left() == {}


def test_a_block_is_never_used_twice() -> None:
    blocks = _begin(_Fiber(), _channel("A", "", "B"))
    assert blocks.apply(0, bytes(60)) + blocks.apply(0, bytes(4)) == blocks.pads[0]
    with pytest.raises(ValueError, match="0 bytes left, not 3"):
        blocks.apply(0, bytes(3))


def test_a_relay_of_another_epoch_is_refused() -> None:
    b, fiber = _channel("B", "A", ""), _Fiber()
    _begin(fiber, b)
    _begin(fiber, b)
    with pytest.raises(ValueError, match="epoch 1, but this node is in 2"):
        b.decrypt(1, bytes(32))


def test_ends_that_count_other_errors_do_not_hold_the_same_block() -> None:
    b, fiber = _channel("B", "A", ""), _Fiber(wrong=60)
    _begin(fiber, b)
    with pytest.raises(ValueError, match="59 errors there, but 60 here"):
        b.decrypt(1, bytes(32), errors=59)
    b.decrypt(1, bytes(32), errors=60)


def test_what_an_epoch_leaves_expires_with_the_next() -> None:
    a, fiber = _channel("A", "", "B"), _Fiber()
    _begin(fiber, a)
    a.encrypt(bytes(32))
    assert a.expire() == [("B", 256)]
    assert (a.left(), a.ready_units()) == ({}, 0)
    _begin(fiber, a)
    assert (a.left(), a.epoch) == ({"B": 512}, 2)


def test_epochs_follow_the_reservation_and_not_the_caller() -> None:
    channel, fiber = _channel("A", "", "B"), _Fiber()
    assert channel.due_ms == 11_000
    _begin(fiber, channel)
    assert channel.due_ms == 21_000


@pytest.mark.parametrize(
    ("offer", "units"),
    [
        (_Fiber(qber=0.12), 0),
        (_Fiber(skr_bps=0.0), 0),
        (_Fiber(skr_bps=25.6), 2),
        (_Fiber(skr_bps=12.8), 1),
        (_Fiber(skr_bps=1e9), 2),
        (_Fiber(wrong=220), 2),  # of 2 wavelengths x 100 bit/s x 10 s: just the limit
        (_Fiber(wrong=221), 0),
    ],
)
def test_a_block_holds_what_the_link_yields_and_at_most_what_is_reserved(
    offer: _Fiber, units: int
) -> None:
    channel = _channel("A", "", "B")
    _begin(offer, channel)
    assert channel.ready_units() == units


def test_a_block_is_judged_by_the_errors_that_were_counted_and_says_so() -> None:
    good, noisy = _channel("A", "", "B"), _channel("A", "", "B")
    told = _begin(_Fiber(qber=0.5, wrong=60), good).is_told()
    told += _begin(_Fiber(qber=0.0, wrong=300), noisy).is_told()
    kept, lost = good.blocks["B"], noisy.blocks["B"]
    assert (kept.n_bytes, kept.qber, kept.is_noisy) == (64, 0.03, False)
    assert (lost.n_bytes, lost.qber, lost.is_noisy) == (0, 0.15, True)
    assert told == [True, True]
    assert noisy.ready_units() == 0
    with pytest.raises(ValueError, match="0 bytes left"):
        noisy.encrypt(bytes(32))


def test_both_ends_name_a_channel_alike() -> None:
    assert fiber_channel("A", "B", 3) == fiber_channel("B", "A", 3)


def test_both_ends_name_keys_alike_and_no_two_keys_alike() -> None:
    material = bytes(range(96))
    keys = name_keys(1, MediumCode.UAV, 5, material, 32)
    assert keys == name_keys(1, MediumCode.UAV, 5, material, 32)
    others = name_keys(1, MediumCode.UAV, 6, material, 32)
    assert len({key.id for key in keys + others}) == 6
    assert b"".join(key.material for key in keys) == material


def test_a_key_does_not_show_itself() -> None:
    key = Key("id", b"very secret")
    assert "secret" not in repr(key)
    blocks = _begin(_Fiber(), _channel("A", "", "B"))
    assert repr(blocks.pads[0])[2:-1] not in repr(blocks)
    assert key.fingerprint == tag(b"very secret")
    assert b"secret" not in key.fingerprint


class _Replay:
    """What the reported changes make of nothing: (serial, key, whether it is available)."""

    def __init__(self) -> None:
        self.keys: dict[str, tuple[int, Key]] = {}
        self.available: set[int] = set()

    def take(self, change: KeyChange) -> None:
        match change:
            case KeysHeld(serial=serial, keys=keys):
                assert not self.keys.keys() & {key.id for key in keys}
                self.keys |= {key.id: (serial, key) for key in keys}
            case KeysConfirmed(serial=serial):
                self.available.add(serial)
            case KeysGone(serial=serial, key_ids=key_ids):
                for key_id in key_ids:
                    assert self.keys.pop(key_id)[0] == serial
            case StoreOpened():
                pass


class StoreMachine(RuleBasedStateMachine):
    """A store at the source of keys against a plain list of what was made and where it went."""

    CAPACITY = 6

    def __init__(self) -> None:
        super().__init__()
        self.reported = _Replay()
        opened = StoreOpened(0, MediumCode.FIBER, "B", "source", 8, self.CAPACITY)
        self.store = KeyStore(opened, self.reported.take)
        self.serial = 0
        self.expected: dict[int, list[Key]] = {}
        self.available: list[Key] = []
        self.gone: set[str] = set()

    def leave(self, keys: list[Key]) -> None:
        names = {key.id for key in keys}
        assert len(names) == len(keys)
        assert not names & self.gone
        self.gone |= names

    @rule(units=st.integers(1, CAPACITY))
    def make(self, units: int) -> None:
        self.serial += 1
        size = min(units, self.store.room_units)
        if size:
            material = bytes(self.serial % 251 + place for place in range(size))
            keys = name_keys(0, MediumCode.FIBER, self.serial, material, 1)
            self.store.expect(self.serial, keys, float(self.serial))
            self.expected[self.serial] = keys

    @precondition(lambda self: self.expected)
    @rule(data=st.data(), is_honest=st.booleans())
    def hear(self, data: st.DataObject, is_honest: bool) -> None:
        serial = min(self.expected)
        keys = self.expected[serial]
        units = data.draw(st.integers(0, len(keys)))
        said = tag(b"".join(key.material for key in keys[:units]))
        assert not self.store.confirm(serial, len(keys) + 1, said)
        assert self.store.confirm(serial, units, said if is_honest else b"other") == is_honest
        if is_honest:
            self.available += keys[:units]
            self.leave(keys[units:])
            del self.expected[serial]

    @rule(units=st.integers(0, CAPACITY + 1))
    def consume(self, units: int) -> None:
        keys = self.store.consume(units)
        assert keys == self.available[:units]
        del self.available[:units]
        self.leave(keys)

    @rule(data=st.data())
    def take(self, data: st.DataObject) -> None:
        held = [*self.available, *(key for keys in self.expected.values() for key in keys)]
        if not held:
            return
        key = data.draw(st.sampled_from(held))
        assert self.store.take(key.id) == key
        assert self.store.take(key.id) is None
        self.leave([key])
        for keys in (self.available, *self.expected.values()):
            if key in keys:
                keys.remove(key)
        self.expected = {serial: keys for serial, keys in self.expected.items() if keys}

    @rule(data=st.data())
    def void(self, data: st.DataObject) -> None:
        serial = data.draw(st.integers(0, self.serial))
        of_block = {key.id for key in name_keys(0, MediumCode.FIBER, serial, bytes(9), 1)}
        lost = [key for key in self.available if key.id in of_block]
        lost += self.expected.pop(serial, [])
        self.available = [key for key in self.available if key.id not in of_block]
        assert self.store.void(serial) == len(lost)
        self.leave(lost)

    @invariant()
    def nothing_is_lost_or_too_much(self) -> None:
        units = sum(len(keys) for keys in self.expected.values())
        assert self.store.available_units == len(self.available)
        assert self.store.held_units == len(self.available) + units <= self.CAPACITY
        assert self.store.room_units == self.CAPACITY - self.store.held_units

    @invariant()
    def what_was_reported_makes_what_is_held(self) -> None:
        again = _Replay()
        for change in self.store.changes():
            again.take(change)
        assert again.keys == self.reported.keys
        held = {serial for serial, _ in again.keys.values()}
        assert again.available & held == self.reported.available & held


TestStore = StoreMachine.TestCase


def test_what_becomes_of_a_link_in_a_step_is_one_fact_a_kind_and_tells_no_key() -> None:
    effects = Effects("kme-A")
    notes = LinkNotes(effects)
    fiber = _Fiber(wrong=60)
    fiber.wrong_of[7] = 300
    channels = [_channel("A", "", "B", request=request) for request in (3, 5, 7)]
    notes.made(_begin(fiber, *channels))
    ciphertext = channels[1].encrypt(bytes(32))
    notes.used(5, "B", 1, 256)
    notes.flush()
    made, used = effects.flush(None).facts
    shares = Shares((3, 5, 7), (512, 512, 0), (0.03, 0.03, 0.15), (7,))
    assert (made.kind, made.serial, made.peer) == (FactKind.GENERATED, 1, "B")
    assert (made.units, made.bits, made.details) == (3, 1024, shares)
    assert (used.kind, used.bits, used.details) == (FactKind.RELAYED, 256, Shares((5,), (256,)))
    assert made.text == "3 reservations, qber 0.0700, 1 discarded"
    assert ciphertext.hex() not in repr((made, used))
    notes.flush()
    assert effects.flush(None).facts == []


def test_a_channel_that_takes_the_place_of_another_repeats_no_epoch() -> None:
    before, after = _channel("A", "", "B"), _channel("A", "", "B")
    fiber = _Fiber()
    _begin(fiber, before)
    after.skip(before.epoch, fiber.at("A"))
    _begin(fiber, after)
    assert (before.epoch, after.epoch) == (1, 2)


def test_epochs_that_are_left_out_count_towards_a_block_and_what_came_of_them_is_told_later() -> (
    None
):
    """Both ends are full in the same epoch, though one has joined when the first blocks were over."""
    fiber = _Fiber()
    fiber.offer = LinkSample(1000.0, 0.0, sifted_bps=5000.0, block_s=15.0)  # two epochs
    punctual, late = _channel("A", "", "B"), _channel("B", "A", "")
    told = [_told(punctual, fiber) for _ in range(6)]
    late.skip(4, fiber.at("B"))
    first, second = (_told(late, fiber) for _ in range(2))
    assert [item.distilled_bits for item in told] == [0, 1024, 0, 1024, 0, 1024]
    assert (first.distilled_bits, second) == (2048, told[5])
    assert punctual.ready_units() == 2
    assert len(late.decrypt(6, punctual.encrypt(bytes(64)))) == 64


def _told(channel: Channel, fiber: _Fiber) -> Progress:
    """Return what a channel tells of the block of its next epoch."""
    assert _begin(fiber, channel).is_told() == [True]
    (block,) = channel.blocks.values()
    assert block.progress is not None
    return block.progress
