"""Messages of `protos.core` to protobuf and back.

Besides `emulator.runtime` and `emulator.telemetry` this is the only importer of generated code.
"""

from __future__ import annotations

from collections.abc import Iterable

from protos.core import Message
from protos.gen.qsagin.v1 import keys_pb2, management_pb2, runtime_pb2
from protos.keys import Ack, Assigned, Confirm, Delivered, Discard, KeyTraffic, Relay
from protos.mib import MediumCode
from protos.pdu import TRACE_BYTES, ErrorStatus, Missing, Pdu, Value, VarBind, Verb

_MOST = 2**63 - 1  # what a journal can hold

Batch = management_pb2.ManagementBatch | keys_pb2.KeyBatch


def mail(batches: Iterable[Batch]) -> bytes:
    """Return batches as they came, in one piece."""
    whole = runtime_pb2.Mail()
    for batch in batches:
        if isinstance(batch, management_pb2.ManagementBatch):
            whole.management.append(batch)
        else:
            whole.keys.append(batch)
    return whole.SerializeToString()


def mail_messages(data: bytes) -> list[Message]:
    """Decode what `mail` wrote."""
    whole = runtime_pb2.Mail.FromString(data)
    management = [message for batch in whole.management for message in management_messages(batch)]
    return management + [message for batch in whole.keys for message in key_messages(batch)]


def mail_pdus(data: bytes) -> list[Message]:
    """Decode the management messages of what `mail` wrote."""
    whole = runtime_pb2.Mail.FromString(data)
    return [message for batch in whole.management for message in management_messages(batch)]


def management_batch(window: int, messages: Iterable[Message]) -> management_pb2.ManagementBatch:
    """Encode management messages; all bodies must be PDUs."""
    batch = management_pb2.ManagementBatch(window=window)
    for message in messages:
        encoded = batch.messages.add(
            source=message.source, destination=message.destination, sequence=message.sequence
        )
        if isinstance(message.body, Pdu):
            _encode_pdu(message.body, encoded.pdu)
    return batch


def management_messages(batch: management_pb2.ManagementBatch) -> list[Message]:
    """Decode management messages.  Raises `ValueError` for numbers that RFC 3416 does not have."""
    return [
        Message(item.source, item.destination, item.sequence, _decode_pdu(item.pdu))
        for item in batch.messages
    ]


def key_batch(window: int, messages: Iterable[Message]) -> keys_pb2.KeyBatch:
    """Encode key traffic; all bodies must be of `protos.keys`."""
    batch = keys_pb2.KeyBatch(window=window)
    for message in messages:
        encoded = batch.messages.add(
            source=message.source, destination=message.destination, sequence=message.sequence
        )
        if not isinstance(message.body, Pdu):
            _encode_traffic(message.body, encoded)
    return batch


def key_messages(batch: keys_pb2.KeyBatch) -> list[Message]:
    """Decode key traffic.  Raises `ValueError` for an empty body or an unknown medium."""
    return [
        Message(item.source, item.destination, item.sequence, _decode_traffic(item))
        for item in batch.messages
    ]


def _encode_pdu(pdu: Pdu, out: management_pb2.Pdu) -> None:
    out.verb = pdu.verb.value  # type: ignore[assignment]
    out.request_id = pdu.request_id
    out.error_status = pdu.error_status
    out.error_index = pdu.error_index
    out.non_repeaters = pdu.non_repeaters
    out.max_repetitions = pdu.max_repetitions
    out.trace_id, out.oldest_open = pdu.trace_id, pdu.oldest_open
    for varbind in pdu.varbinds:
        _encode_value(varbind.value, out.varbinds.add(arc=varbind.name))


def _encode_value(value: Value, out: management_pb2.VarBind) -> None:
    if isinstance(value, Missing):
        out.exception = value.value  # type: ignore[assignment]
    elif isinstance(value, int):
        out.integer = value
    elif isinstance(value, str):
        out.text = value
    else:
        out.object.arc.extend(value)


def _decode_pdu(pdu: management_pb2.Pdu) -> Pdu:
    if len(pdu.trace_id) not in (0, TRACE_BYTES):
        raise ValueError(f"a trace id has {TRACE_BYTES} bytes, not {len(pdu.trace_id)}")
    varbinds = tuple(VarBind(tuple(item.arc), _decode_value(item)) for item in pdu.varbinds)
    return Pdu(
        Verb(pdu.verb),
        pdu.request_id,
        varbinds,
        ErrorStatus(pdu.error_status),
        pdu.error_index,
        pdu.non_repeaters,
        pdu.max_repetitions,
        pdu.trace_id,
        pdu.oldest_open,
    )


def _decode_value(varbind: management_pb2.VarBind) -> Value:
    match varbind.WhichOneof("value"):
        case "integer":
            return varbind.integer
        case "text":
            return varbind.text
        case "object":
            return tuple(varbind.object.arc)
        case _:
            return Missing(varbind.exception or Missing.NULL)


def _encode_traffic(body: KeyTraffic, out: keys_pb2.KeyMessage) -> None:
    match body:
        case Relay():
            relay = out.relay
            relay.request, relay.epoch, relay.units = body.request, body.epoch, body.units
            relay.ciphertext, relay.errors = body.ciphertext, body.errors
        case Confirm():
            confirm = out.confirm
            confirm.request, confirm.medium = body.request, body.medium
            confirm.serial, confirm.units, confirm.tag = body.serial, body.units, body.tag
        case Delivered():
            delivered = out.delivered
            delivered.request, delivered.medium = body.request, body.medium
            delivered.period, delivered.number = body.period, body.number
            delivered.key_ids.extend(body.key_ids)
        case Assigned():
            assigned = out.assigned
            assigned.request, assigned.master = body.request, body.master
            assigned.slaves.extend(body.slaves)
            assigned.key_bits, assigned.number = body.key_bits, body.number
            assigned.names.extend(body.names)
            assigned.unit_ids.extend(body.unit_ids)
            assigned.ciphertext = body.pad
        case Discard():
            discard = out.discard
            discard.request, discard.medium = body.request, body.medium
            discard.serial, discard.number = body.serial, body.number
        case Ack():
            out.settled.number = body.number


def _decode_traffic(item: keys_pb2.KeyMessage) -> KeyTraffic:
    body = getattr(item, item.WhichOneof("body") or "relay")
    if any(isinstance(n, int) and n > _MOST for _, n in body.ListFields()):
        raise ValueError(f"message {item.sequence} of {item.source} has a number that is too large")
    match item.WhichOneof("body"):
        case "relay":
            body = item.relay
            return Relay(body.request, body.epoch, body.units, body.ciphertext, body.errors)
        case "confirm":
            said = item.confirm
            medium = MediumCode(said.medium)
            return Confirm(said.request, medium, said.serial, said.units, said.tag)
        case "delivered":
            done = item.delivered
            medium = MediumCode(done.medium)
            return Delivered(done.request, medium, done.period, tuple(done.key_ids), done.number)
        case "assigned":
            return _decode_assigned(item.assigned)
        case "discard":
            void = item.discard
            return Discard(void.request, MediumCode(void.medium), void.serial, void.number)
        case "settled":
            return Ack(item.settled.number)
        case _:
            raise ValueError(f"message {item.sequence} of {item.source} is empty")


def _decode_assigned(said: keys_pb2.Assigned) -> Assigned:
    return Assigned(
        said.request,
        said.master,
        tuple(said.slaves),
        said.key_bits,
        tuple(said.names),
        tuple(said.unit_ids),
        said.ciphertext,
        said.number,
    )
