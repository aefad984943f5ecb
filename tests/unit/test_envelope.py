"""Envelopes: what one closes the other opens, under the key in force and no other."""

from __future__ import annotations

from dataclasses import replace

import pytest

from emulator.build.assembly import Assembly
from emulator.runtime.envelopes import EnvelopeError, Envelopes, ManagementKeys
from emulator.world.events import FiberCut, Schedule
from protos import wire
from protos.core import GLOBAL_MANAGER, Message, Timeline
from protos.gen.qsagin.v1 import management_pb2
from protos.pdu import Pdu, VarBind, Verb

PDU = Pdu(Verb.SET, 9, (VarBind((1, 3, 6), "a word that nobody may read"),))


@pytest.fixture
def keys(tiny_assembly: Assembly) -> ManagementKeys:
    world = replace(tiny_assembly.world, sky=None, timeline=Timeline(0.0, 20.0, 150))
    return ManagementKeys(world, window_s=1.0, rotation_s=100.0, stored_keys=1)


def _batch(window: int, source: str = GLOBAL_MANAGER) -> management_pb2.ManagementBatch:
    return wire.management_batch(window, [Message(source, "kme-A", 1, PDU)])


def test_what_one_actor_closes_another_opens_and_nobody_reads_on_the_way(
    keys: ManagementKeys,
) -> None:
    batch = _batch(250)
    Envelopes(keys).close(batch)
    assert b"nobody may read" not in batch.SerializeToString()
    opened = wire.management_messages(Envelopes(keys).open(batch))
    assert [message.body for message in opened] == [PDU]


def test_who_has_no_new_key_is_overdue_until_there_is_one(keys: ManagementKeys) -> None:
    cut = replace(keys.world, schedule=Schedule((FiberCut("A", "B", 150.0, 350.0),)))
    envelopes = Envelopes(replace(keys, world=cut))
    envelopes.close(_batch(300))
    assert envelopes.overdue == {(GLOBAL_MANAGER, "kme-A")}
    assert envelopes.used == 1
    envelopes.close(_batch(400))
    assert envelopes.overdue == set()
    assert envelopes.used == 2


def test_a_message_of_another_time_is_under_a_stale_key(keys: ManagementKeys) -> None:
    batch = _batch(99)
    Envelopes(keys).close(batch)
    batch.window = 100
    with pytest.raises(EnvelopeError, match="global-manager: stale key"):
        Envelopes(keys).open(batch)


def test_of_the_keys_of_a_pair_only_the_last_are_kept_and_an_old_message_still_opens(
    keys: ManagementKeys,
) -> None:
    here, there = Envelopes(keys), Envelopes(keys)
    sizes = []
    for window in range(0, 3_000, 50):
        for at in (window, max(0, window - 60)):
            batch = _batch(at)
            there.close(batch)
            assert wire.management_messages(here.open(batch))[0].body == PDU
        sizes.append(sum(len(kept) for kept in here._ciphers.values()))
    assert here.used == there.used == 30
    assert max(sizes) == sizes[-1] == 4
    old = _batch(0)
    Envelopes(keys).close(old)
    assert here.open(old)
    assert here.used == 30
