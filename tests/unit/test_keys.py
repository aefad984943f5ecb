"""Key stores, pads and channels: every key is somewhere, and is used once."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controllers.channel import Channel, Pad, fiber_channel
from controllers.key_store import Key, KeyStore, name_keys, tag
from controllers.ports import LinkSample
from protos.core import Fact, FactKind
from protos.mib import ChannelRow, MediumCode


class _Fiber:
    """A world of one fiber: what it offers can be changed."""

    def __init__(self, skr_bps: float = 1000.0, qber: float = 0.02, wrong: int = 0) -> None:
        sifted_bps = 100.0 if wrong else 0.0
        self.offer = LinkSample(skr_bps, qber, sifted_bps=sifted_bps)
        self.wrong = wrong

    def sample(
        self, _medium: MediumCode, _a: str, _b: str, _now_s: float, _since_s: float | None = None
    ) -> LinkSample:
        return self.offer

    def errors(self, _channel: str, _serial: int, sifted_bits: int, _qber: float) -> int:
        return min(self.wrong, sifted_bits)

    def block(self, channel: str, serial: int, n_bytes: int) -> bytes:
        return (f"{channel}#{serial}".encode() * n_bytes)[:n_bytes]


def _channel(node: str, upstream: str, downstream: str, units: int = 2) -> Channel:
    row = ChannelRow(0, upstream, downstream, "", units, 1_000, 11_000, 10_000, 4)
    return Channel(node, row, key_bytes=32, qber_limit=0.11)


def test_what_one_end_encrypts_the_other_decrypts_and_both_use_the_same_bits() -> None:
    a, b, fiber = _channel("A", "", "B"), _channel("B", "A", ""), _Fiber()
    a.begin_epoch(fiber, fiber)
    b.begin_epoch(fiber, fiber)
    secret = bytes(range(64))
    ciphertext, used_by_a = a.encrypt(secret)
    plain, used_by_b = b.decrypt(1, ciphertext)
    assert ciphertext != secret
    assert plain == secret
    assert used_by_a.bits == used_by_b.bits == 512
    assert a.left() == b.left() == {}


def test_a_pad_is_never_used_twice() -> None:
    pad = Pad(1, bytes(10))
    pad.apply(bytes(8))
    with pytest.raises(ValueError, match="2 bytes left, not 3"):
        pad.apply(bytes(3))


def test_a_relay_of_another_epoch_is_refused() -> None:
    b, fiber = _channel("B", "A", ""), _Fiber()
    b.begin_epoch(fiber, fiber)
    b.begin_epoch(fiber, fiber)
    with pytest.raises(ValueError, match="epoch 1, but this node is in 2"):
        b.decrypt(1, bytes(32))


def test_ends_that_count_other_errors_do_not_hold_the_same_block() -> None:
    b, fiber = _channel("B", "A", ""), _Fiber(wrong=60)
    b.begin_epoch(fiber, fiber)
    with pytest.raises(ValueError, match="59 errors there, but 60 here"):
        b.decrypt(1, bytes(32), errors=59)
    b.decrypt(1, bytes(32), errors=60)


def test_what_an_epoch_leaves_expires_with_the_next() -> None:
    a, fiber = _channel("A", "", "B"), _Fiber()
    a.begin_epoch(fiber, fiber)
    a.encrypt(bytes(32))
    facts = a.begin_epoch(fiber, fiber)
    assert [(fact.kind, fact.bits, fact.serial) for fact in facts] == [
        (FactKind.EXPIRED, 256, 1),
        (FactKind.GENERATED, 512, 2),
    ]


def test_epochs_follow_the_reservation_and_not_the_caller() -> None:
    channel, fiber = _channel("A", "", "B"), _Fiber()
    assert channel.due_s == 11.0
    channel.begin_epoch(fiber, fiber)
    assert channel.due_s == 21.0


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
    channel.begin_epoch(offer, offer)
    assert channel.ready_units() == units


def test_a_block_is_judged_by_the_errors_that_were_counted_and_says_so() -> None:
    good, noisy = _channel("A", "", "B"), _channel("A", "", "B")
    (kept,) = good.begin_epoch(_Fiber(qber=0.5, wrong=60), _Fiber(wrong=60))
    (lost,) = noisy.begin_epoch(_Fiber(qber=0.0, wrong=300), _Fiber(wrong=300))
    assert (kept.kind, kept.bits, kept.note) == (FactKind.GENERATED, 512, "qber 0.0300")
    assert (lost.kind, lost.bits, lost.note) == (FactKind.GENERATED, 0, "qber 0.1500 discarded")
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
    assert "secret" not in repr(Pad(1, b"very secret"))
    assert key.fingerprint == tag(b"very secret")
    assert b"secret" not in key.fingerprint


@given(st.lists(st.sampled_from(["expect", "confirm", "consume", "take"]), max_size=40))
def test_keys_are_conserved(steps: list[str]) -> None:
    store, made, gone = KeyStore("B", "source", capacity_units=5), 0, 0
    for serial, step in enumerate(steps):
        if step == "expect" and store.room_units:
            keys = [Key(f"{serial}.{i}", b"") for i in range(store.room_units)]
            store.expect(serial, keys)
            made += len(keys)
        elif step == "confirm":
            for held in store.expected_before(serial):
                store.deposit(store.expected(held))
        elif step == "consume":
            gone += len(store.consume(2))
        elif step == "take" and store.remaining():
            name = store.remaining()[-1].id
            assert store.take(name) is not None
            assert store.take(name) is None
            gone += 1
        assert made == gone + len(store.remaining())
        assert len(store.remaining()) <= 5
        assert 0 <= store.available_units <= 5


def test_a_fact_of_a_channel_tells_no_key() -> None:
    a, fiber = _channel("A", "", "B"), _Fiber()
    a.begin_epoch(fiber, fiber)
    ciphertext, fact = a.encrypt(bytes(32))
    assert isinstance(fact, Fact)
    assert fact.fingerprint == b""
    assert ciphertext.hex() not in repr(fact)
