"""What a schedule does to entities and messages: by the seed, and to nobody else."""

from __future__ import annotations

from collections import Counter

from emulator.runtime.message_faults import NO_FAULTS, MessageFaults, Post
from emulator.world.events import MessageFault, Outage, Partition, PowerCut, Schedule
from protos.core import Message, steps_until
from protos.keys import Ack, Confirm, KeyBundle, Relay
from protos.pdu import Pdu, Verb
from protos.syntax import MediumCode

NOBODY: frozenset[str] = frozenset()
ASKED = Pdu(Verb.GET, 1)


def messages(count: int, source: str = "kme-A", body: object = ASKED) -> list[Message]:
    return [Message(source, "kme-B", number, body) for number in range(1, count + 1)]  # type: ignore[arg-type]


def under(*events: object) -> MessageFaults:
    return MessageFaults(7, 1.0, 1000, Schedule(events))  # type: ignore[arg-type]


def test_without_a_schedule_everything_leaves_as_it_is() -> None:
    post, outbox = Post(), messages(5)
    assert post.dispatch(3, outbox, NO_FAULTS) == outbox
    assert NO_FAULTS.is_idle


def test_an_entity_is_out_from_its_first_window_until_it_is_back_once() -> None:
    by = under(Outage("uav-controller", 10.0, 12.5), PowerCut("A", 11.0, 13.0))
    assert [w for w in range(9, 15) if by.is_out("uav-controller", w)] == [10, 11, 12]
    assert [w for w in range(9, 15) if by.is_back("uav-controller", w)] == [13]
    assert [w for w in range(9, 15) if by.is_out("kme-A", w)] == [11, 12]
    assert by.back_after(["uav-controller", "kme-A"], 9) == 13
    assert by.back_after(["uav-controller"], 13) is None


def test_outages_that_overlap_are_one() -> None:
    by = under(Outage("x", 5.0, 8.0), Outage("x", 7.0, 10.0))
    assert [w for w in range(12) if by.is_back("x", w)] == [10]


def test_whoever_is_out_for_good_is_back_when_the_run_is_over() -> None:
    by = under(Outage("x", 5.0, float("inf")))
    assert by.is_out("x", 1000)
    assert by.is_back("x", 1001)


def test_a_fault_takes_about_its_share_and_the_same_every_time() -> None:
    by = under(MessageFault(NOBODY, NOBODY, 0.0, 10.0, drop=0.3))
    left = [message.sequence for message in Post().dispatch(1, messages(1000), by)]
    assert 650 < len(left) < 750
    assert left == [message.sequence for message in Post().dispatch(1, messages(1000), by)]
    assert len(Post().dispatch(10, messages(1000), by)) == 1000


def test_only_those_named_are_concerned() -> None:
    by = under(MessageFault(frozenset({"kme-A"}), frozenset({"kme-C"}), 0.0, 10.0, drop=1.0))
    assert len(Post().dispatch(1, messages(3), by)) == 3
    gone = [Message("kme-A", "kme-C", 1, ASKED)]
    assert Post().dispatch(1, gone, by) == []


def test_copies_have_a_number_of_their_own_and_say_the_same() -> None:
    by = under(MessageFault(NOBODY, NOBODY, 0.0, 10.0, duplicate=1.0))
    left = Post().dispatch(1, messages(3), by)
    assert len({message.sequence for message in left}) == 6
    assert Counter(message.body for message in left) == {ASKED: 6}


def test_what_is_held_back_leaves_later_and_once() -> None:
    by, post = under(MessageFault(NOBODY, NOBODY, 0.0, 10.0, delay_s=4.0)), Post()
    left = {
        window: post.dispatch(window, messages(100) if window == 1 else [], by)
        for window in range(1, 9)
    }
    assert sorted(m.sequence for some in left.values() for m in some) == list(range(1, 101))
    assert all(left[window] for window in range(1, 6))
    assert not left[6]
    assert post.wake_window is None


def test_reordered_messages_keep_their_numbers_and_change_places() -> None:
    by = under(MessageFault(NOBODY, NOBODY, 0.0, 10.0, shuffled=True))
    outbox = [Message("kme-A", "kme-B", n, Pdu(Verb.GET, n)) for n in range(1, 21)]
    left = Post().dispatch(1, outbox, by)
    assert [message.sequence for message in left] == list(range(1, 21))
    said = [message.body.request_id for message in left if isinstance(message.body, Pdu)]
    assert said != list(range(1, 21))
    assert sorted(said) == list(range(1, 21))


def test_what_is_said_of_keys_changes_places_within_its_kind() -> None:
    by = under(MessageFault(NOBODY, NOBODY, 0.0, 10.0, shuffled=True))
    items = [Relay(n, 1, 1, b"x") for n in range(20)] + [Ack(n) for n in range(20)]
    (left,) = Post().dispatch(1, [Message("kme-A", "kme-B", 1, KeyBundle(tuple(items)))], by)
    assert isinstance(left.body, KeyBundle)
    assert left.body.items != tuple(items)
    assert set(left.body.items[:20]) == set(items[:20])
    assert set(left.body.items) == set(items)


def test_damage_shows_in_ciphertext_tag_and_envelope_and_ends_the_rest() -> None:
    by, post = under(MessageFault(NOBODY, NOBODY, 0.0, 10.0, corrupt=1.0)), Post()
    relay, confirm = Relay(0, 1, 1, b"\x01\x02"), Confirm(0, MediumCode.FIBER, 1, 1, b"\x80")
    outbox = [
        Message("kme-A", "kme-B", 1, KeyBundle((relay, confirm))),
        Message("kme-A", "kme-B", 2, KeyBundle((relay._replace(ciphertext=b""), confirm, Ack(1)))),
        Message("kme-A", "kme-B", 3, KeyBundle((Ack(1),))),
        Message("kme-A", "kme-B", 4, ASKED),
    ]
    left = post.dispatch(1, outbox, by)
    assert [message.body for message in left] == [
        KeyBundle((Relay(0, 1, 1, b"\x81\x02"), confirm)),
        KeyBundle((Relay(0, 1, 1, b""), confirm._replace(tag=b"\x00"), Ack(1))),
    ]
    assert [message.sequence for message in post.damaged] == [4]


def test_a_partition_parts_groups_and_leaves_others_alone() -> None:
    cut = Partition((frozenset({"kme-A"}), frozenset({"kme-B"})), 0.0, 10.0)
    assert Post().dispatch(1, messages(3), under(cut)) == []
    assert len(Post().dispatch(1, messages(3, source="kme-C"), under(cut))) == 3
    assert len(Post().dispatch(10, messages(3), under(cut))) == 3


def test_only_who_is_out_now_and_comes_back_is_waited_for() -> None:
    by = under(Outage("x", 10.0, 20.0), Outage("y", 500.0, 600.0))
    assert [w for w in range(8, 22) if by.is_away("x", w)] == list(range(10, 20))
    assert not any(by.is_away("y", w) for w in range(30))


def test_hosts_wake_when_somebody_goes_out_and_when_he_is_back() -> None:
    by = under(Outage("x", 10.0, 20.0), Outage("y", 500.0, 600.0))
    turns = [by.turn_after(("x", "y"), w) for w in (-1, 9, 10, 19, 20, 499, 500)]
    assert turns == [10, 10, 20, 20, 500, 500, 600]
    assert by.turn_after(("x",), 20) is None
    assert by.turn_after(("z",), 0) is None


def test_a_time_that_rounding_puts_just_after_a_window_is_that_window() -> None:
    assert [steps_until(at_s, 0.1) for at_s in (0.0, 0.3, 0.1 * 3, 0.31, 7.0)] == [0, 3, 3, 4, 70]
