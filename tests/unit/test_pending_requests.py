"""Requests and their repeats: each is heard once, and what cannot come again is forgotten."""

from __future__ import annotations

from random import Random

from hypothesis import given
from hypothesis import strategies as st

from protos.pdu import Pdu, Verb
from protos.pending_requests import HeardRequests, PendingRequests

INFORM = Pdu(Verb.INFORM, 0)
FATES = st.lists(st.sampled_from(["heard", "answered", "held back"]), max_size=80)


@given(fates=FATES, order=st.randoms(use_true_random=False))
def test_whatever_is_lost_or_late_each_request_is_heard_as_new_once(
    fates: list[str], order: Random
) -> None:
    exchange: PendingRequests[int] = PendingRequests(retry_after_s=1.0)
    heard, new, late, sent = HeardRequests(), list[int](), list[Pdu](), list[Pdu]()

    def arrive(pdu: Pdu) -> None:
        if heard.is_new("kme-A", pdu):
            new.append(pdu.request_id)

    for now_s, fate in enumerate(fates):
        pdu = exchange.open("manager", INFORM, now_s, now_s)
        sent.append(pdu)
        if fate == "held back":
            late.append(pdu)
            continue
        arrive(pdu)
        late.append(pdu)  # a copy
        if fate == "answered":
            exchange.close("manager", pdu.response())
    order.shuffle(late)
    for pdu in late:
        arrive(pdu)
    assert sorted(new) == [pdu.request_id for pdu in sent]
    for pdu in sent:
        exchange.close("manager", pdu.response())
    arrive(exchange.open("manager", INFORM, 0, 0.0))
    assert len(heard) == 1
    assert not [pdu for pdu in sent if heard.is_new("kme-A", pdu)]


def test_what_another_receiver_owes_does_not_keep_repeats_in_mind() -> None:
    exchange: PendingRequests[str] = PendingRequests(retry_after_s=1.0)
    exchange.open("dead", INFORM, "", 0.0)
    heard = HeardRequests()
    for _ in range(1_000):
        pdu = exchange.open("manager", INFORM, "", 0.0)
        assert heard.is_new("kme-A", pdu)
        exchange.close("manager", pdu.response())
    assert len(heard) == 1
    assert exchange.unanswered_since() == {"dead": 0.0}


def test_a_source_makes_only_its_own_requests_forgotten() -> None:
    heard = HeardRequests()
    assert heard.is_new("kme-A", Pdu(Verb.INFORM, 7))
    assert heard.is_new("liar", Pdu(Verb.INFORM, 3, oldest_open=10**6))
    assert heard.is_new("liar", Pdu(Verb.INFORM, 4))
    assert not heard.is_new("kme-A", Pdu(Verb.INFORM, 7))
    assert heard.is_new("kme-A", Pdu(Verb.INFORM, 6))
