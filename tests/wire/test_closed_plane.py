"""The management plane is closed: who is not who he says he is changes nothing, and is counted."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from pathlib import Path

import grpc
import pytest
from cryptography import x509
from live_network import LiveNetwork, within

from emulator.net.identity import Authority, Identity, certificates_needed
from emulator.net.transport import Channels
from emulator.results.audit import audit
from emulator.runtime.envelopes import Envelopes
from emulator.runtime.grpc_services import MOST_MESSAGES
from emulator.store import journals
from emulator.store.registry import Registry
from emulator.telemetry.reporting import EXPORTER
from protos import wire
from protos.core import FIBER_CONTROLLER, GLOBAL_MANAGER, Message
from protos.gen.qsagin.v1 import (
    keys_pb2_grpc,
    management_pb2,
    management_pb2_grpc,
    runtime_pb2,
    runtime_pb2_grpc,
)
from protos.keys import Ack, Discard, KeyBundle
from protos.mib import ReservationRow
from protos.pdu import ErrorStatus, Pdu, Verb
from protos.rows import encode
from protos.syntax import MediumCode, RowStatus

Call = Callable[[grpc.aio.Channel, Envelopes], Awaitable[object]]
ROW = ReservationRow(0, "r", "A", "B", 1, 0, 1000, 1000, RowStatus.CREATE_AND_GO.value)
RESERVE = Pdu(Verb.SET, 1, tuple(encode(ROW)))
HEARD = Message(GLOBAL_MANAGER, FIBER_CONTROLLER, 1, RESERVE)


def _sealed(envelopes: Envelopes, *messages: Message) -> management_pb2.ManagementBatch:
    batch = wire.management_batch(0, messages)
    envelopes.close(batch)
    return batch


def _set(source: str) -> Call:
    batch = Message(source, FIBER_CONTROLLER, 1, RESERVE)
    return lambda channel, envelopes: management_pb2_grpc.AgentStub(channel).Set(
        _sealed(envelopes, batch)
    )


def _outcome(
    folder: Path, identity: Callable[[Authority], Identity], call: Call
) -> tuple[grpc.StatusCode, dict[str, int], list[Message]]:
    """Call a host as somebody; return the status, what the host has refused, and what it has kept."""

    async def work() -> tuple[grpc.StatusCode, dict[str, int], list[Message]]:
        network = LiveNetwork(folder, 1)
        await network.start()
        host = network.hosts["host-0"]
        where = Registry(folder).find("host-0")
        assert where is not None
        channels = Channels(identity(network.authority))
        status = grpc.StatusCode.OK
        try:
            channel = channels.to("host-0", where.address)
            await call(channel, Envelopes(network.management_keys))
        except grpc.aio.AioRpcError as error:
            status = error.code()
        await channels.close()
        kept = host._cores._here[FIBER_CONTROLLER].mailbox.read(1)
        refused = {reason: count for reason, count in host._services.refused.items() if count}
        await network.stop()
        return status, refused, kept

    found: tuple[grpc.StatusCode, dict[str, int], list[Message]] = within(60, work())
    return found


def test_the_manager_is_heard(tmp_path: Path) -> None:
    status, refused, kept = _outcome(
        tmp_path, lambda ca: ca.issue("m", [GLOBAL_MANAGER]), _set(GLOBAL_MANAGER)
    )
    assert (status, refused) == (grpc.StatusCode.OK, {})
    assert [message.body for message in kept] == [RESERVE]


@pytest.mark.parametrize("length", [3, 50])
def test_who_is_named_among_as_many_as_a_certificate_can_name_is_heard(
    tmp_path: Path, length: int
) -> None:
    names = [f"kme-{place:0{length}}" for place in range(1_000)]
    most = max(count for count in range(1_000) if certificates_needed(names[:count]) == 1)

    status, refused, _ = _outcome(
        tmp_path, lambda ca: ca.issue("m", [GLOBAL_MANAGER, *names[:most]]), _set(GLOBAL_MANAGER)
    )

    assert (status, refused) == (grpc.StatusCode.OK, {})
    assert certificates_needed(names[: most + 1]) == 2


def test_a_certificate_of_another_authority_opens_nothing(tmp_path: Path) -> None:
    def forged(ca: Authority) -> Identity:
        own, wanted = Authority().issue("m", [GLOBAL_MANAGER]), ca.issue("m", ())
        return Identity("m", own.certificate, own.private_key, wanted.authority)

    status, _, kept = _outcome(tmp_path, forged, _set(GLOBAL_MANAGER))
    assert (status, kept) == (grpc.StatusCode.UNAVAILABLE, [])


def test_no_clock_keeps_a_certificate_from_being_taken() -> None:
    identity = Authority().issue("m", [GLOBAL_MANAGER])
    for pem in (identity.certificate, identity.authority):
        certificate = x509.load_pem_x509_certificate(pem)
        assert certificate.not_valid_before_utc.year <= 2000
        assert certificate.not_valid_after_utc.year == 9999


def test_no_certificate_opens_nothing(tmp_path: Path) -> None:
    async def bare(_: grpc.aio.Channel, envelopes: Envelopes) -> None:
        where = Registry(tmp_path).find("host-0")
        assert where is not None
        async with grpc.aio.insecure_channel(where.address) as channel:
            await management_pb2_grpc.AgentStub(channel).Set(_sealed(envelopes, HEARD), timeout=5)

    status, _, kept = _outcome(tmp_path, lambda ca: ca.issue("m", ()), bare)
    assert (status, kept) == (grpc.StatusCode.UNAVAILABLE, [])


def test_nobody_speaks_in_the_name_of_another(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        status, refused, kept = _outcome(
            tmp_path, lambda ca: ca.issue("n", ["kme-A"]), _set(GLOBAL_MANAGER)
        )
    assert status is grpc.StatusCode.PERMISSION_DENIED
    assert (refused, kept) == ({"not its own name": 1}, [])
    assert "refused from or for global-manager: not its own name" in caplog.text


def test_a_repeated_message_is_counted_and_kept_once(tmp_path: Path) -> None:
    async def twice(channel: grpc.aio.Channel, envelopes: Envelopes) -> None:
        stub = management_pb2_grpc.AgentStub(channel)
        await stub.Set(_sealed(envelopes, HEARD))
        await stub.Set(_sealed(envelopes, HEARD))

    _, refused, kept = _outcome(tmp_path, lambda ca: ca.issue("m", [GLOBAL_MANAGER]), twice)
    assert (refused, len(kept)) == ({"repeated": 1}, 1)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda message: message.ClearField("sealed"), "not sealed"),
        (lambda message: setattr(message, "sealed", message.sealed[:-1] + b"!"), "tampered"),
        (lambda message: setattr(message, "sequence", 2), "tampered"),
        (lambda message: setattr(message, "destination", "uav-controller"), "tampered"),
        (lambda message: setattr(message, "key_serial", 1), "stale key"),
    ],
)
def test_a_message_that_was_touched_on_its_way_is_refused(
    tmp_path: Path, change: Callable[[management_pb2.ManagementMessage], None], reason: str
) -> None:
    async def touch(channel: grpc.aio.Channel, envelopes: Envelopes) -> None:
        batch = _sealed(envelopes, HEARD)
        change(batch.messages[0])
        await management_pb2_grpc.AgentStub(channel).Set(batch)

    status, refused, kept = _outcome(tmp_path, lambda ca: ca.issue("m", [GLOBAL_MANAGER]), touch)
    assert status is grpc.StatusCode.UNAUTHENTICATED
    assert (refused, kept) == ({reason: 1}, [])


def test_a_method_takes_only_pdus_of_its_own_verb(tmp_path: Path) -> None:
    status, refused, kept = _outcome(
        tmp_path,
        lambda ca: ca.issue("m", [GLOBAL_MANAGER]),
        lambda channel, envelopes: management_pb2_grpc.AgentStub(channel).Get(
            _sealed(envelopes, HEARD)
        ),
    )
    assert status is grpc.StatusCode.INVALID_ARGUMENT
    assert (refused, kept) == ({"wrong verb": 1}, [])


def test_who_sends_too_much_is_not_heard_in_that_window(tmp_path: Path) -> None:
    async def flood(channel: grpc.aio.Channel, envelopes: Envelopes) -> None:
        stub = management_pb2_grpc.AgentStub(channel)
        tenth = MOST_MESSAGES // 10
        empty = Pdu(Verb.SET, 1)
        for start in range(0, MOST_MESSAGES + tenth, tenth):
            messages = [
                Message(GLOBAL_MANAGER, FIBER_CONTROLLER, n, empty)
                for n in range(start, start + tenth)
            ]
            await stub.Set(_sealed(envelopes, *messages))

    status, refused, kept = _outcome(tmp_path, lambda ca: ca.issue("m", [GLOBAL_MANAGER]), flood)
    assert status is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert (refused, len(kept)) == ({"too many": 1}, MOST_MESSAGES)


def test_a_message_for_somebody_who_does_not_live_here_is_refused(tmp_path: Path) -> None:
    lost = Message(GLOBAL_MANAGER, "kme-Z", 1, RESERVE)
    status, refused, _ = _outcome(
        tmp_path,
        lambda ca: ca.issue("m", [GLOBAL_MANAGER]),
        lambda channel, envelopes: management_pb2_grpc.AgentStub(channel).Set(
            _sealed(envelopes, lost)
        ),
    )
    assert (status, refused) == (grpc.StatusCode.NOT_FOUND, {"unknown destination": 1})


@pytest.mark.parametrize("method", ["Greet", "Resend"])
def test_only_the_clock_gives_orders_to_hosts(tmp_path: Path, method: str) -> None:
    request = {"Greet": runtime_pb2.Routes(), "Resend": runtime_pb2.Lost()}[method]
    status, refused, _ = _outcome(
        tmp_path,
        lambda ca: ca.issue("host-9", ["kme-Z"]),
        lambda channel, _: getattr(runtime_pb2_grpc.HostStub(channel), method)(request),
    )
    assert (status, refused) == (grpc.StatusCode.PERMISSION_DENIED, {"not the clock": 1})


def test_key_messages_from_who_has_no_keys_end_nothing(tmp_path: Path) -> None:
    """Whoever has a certificate may send; the exporter cannot even be answered."""

    async def work() -> None:
        network = LiveNetwork(tmp_path, 1)
        await network.start()
        where = Registry(tmp_path).find("host-0")
        assert where is not None
        for name in (EXPORTER, "kme-Z"):
            channels = Channels(network.authority.issue(name, [name]))
            void = KeyBundle((Discard(0, MediumCode.FIBER, 1, number=1),))
            batch = wire.key_batch(0, [Message(name, "kme-A", 1, void)])
            stub = keys_pb2_grpc.KeyManagerStub(channels.to("host-0", where.address))
            await stub.Exchange(batch)
            await channels.close()
        await network.run()
        await network.stop()

    within(60, work())
    assert audit(tmp_path).ok
    found = list(journals.rows(tmp_path, "kme-A", "SELECT peer FROM fact WHERE kind = 'rejected'"))
    assert found == [(EXPORTER,), ("kme-Z",)]


@pytest.mark.parametrize("window", [2**40, 2**64 - 1])
def test_a_message_from_a_time_that_never_comes_is_refused(tmp_path: Path, window: int) -> None:
    async def late(channel: grpc.aio.Channel, _: Envelopes) -> None:
        batch = wire.key_batch(0, [Message("kme-A", "kme-B", 1, KeyBundle((Ack(1),)))])
        batch.window = window
        await keys_pb2_grpc.KeyManagerStub(channel).Exchange(batch)

    status, refused, _ = _outcome(tmp_path, lambda ca: ca.issue("m", ["kme-A"]), late)
    assert (status, refused) == (grpc.StatusCode.INVALID_ARGUMENT, {"malformed": 1})


def test_a_strangers_set_is_answered_with_no_access_and_the_run_goes_on(tmp_path: Path) -> None:
    async def work() -> list[ErrorStatus]:
        network = LiveNetwork(tmp_path, 1)
        await network.start()
        where = Registry(tmp_path).find("host-0")
        assert where is not None
        channels = Channels(network.authority.issue("grafana", ()))
        channel = channels.to("host-0", where.address)
        stub = management_pb2_grpc.AgentStub(channel)
        envelopes = Envelopes(network.management_keys)
        await stub.Set(_sealed(envelopes, HEARD._replace(source="grafana")))
        await channels.close()
        host = network.hosts["host-0"]
        await network.clock._take_up()
        await network.clock._run_window(0, ["host-0"])
        await network.clock._run_window(1, ["host-0"])
        answers = [
            message.body.error_status
            for message in host._cores.sent_in(1)
            if message.destination == "grafana" and isinstance(message.body, Pdu)
        ]
        await network.run()
        await network.stop()
        return answers

    assert within(60, work()) == [ErrorStatus.NO_ACCESS]
    assert audit(tmp_path).ok
