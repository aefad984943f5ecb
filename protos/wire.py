"""Messages of `protos.core` to protobuf and back.

Besides `emulator.runtime` and `emulator.telemetry` this is the only importer of generated code.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import accumulate, chain, groupby
from typing import Any, TypeVar

from protos.core import Message
from protos.gen.qsagin.v1 import keys_pb2, management_pb2, runtime_pb2
from protos.keys import Ack, Assigned, Confirm, Delivered, Discard, KeyBundle, KeyTraffic, Relay
from protos.pdu import TRACE_BYTES, ErrorStatus, Missing, Pdu, Value, VarBind, Verb
from protos.syntax import MediumCode

_MOST = 2**63 - 1  # what a journal can hold

Batch = management_pb2.ManagementBatch | keys_pb2.KeyBatch
Run = TypeVar("Run", bytes, tuple[str, ...])


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
    """Encode key traffic; all bodies must be bundles."""
    batch = keys_pb2.KeyBatch(window=window)
    for message in messages:
        encoded = batch.messages.add(
            source=message.source, destination=message.destination, sequence=message.sequence
        )
        if not isinstance(message.body, Pdu):
            _encode_bundle(message.body, encoded)
    return batch


def key_messages(batch: keys_pb2.KeyBatch) -> list[Message]:
    """Decode key traffic.

    Raises `ValueError` for an empty body, an unknown medium, or columns that do not fit together.
    """
    return [
        Message(item.source, item.destination, item.sequence, _decode_bundle(item))
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


def _encode_bundle(bundle: KeyBundle, out: keys_pb2.KeyMessage) -> None:
    for kind, items in groupby(bundle.items, type):
        _ENCODERS[kind](tuple(items), out)


def _encode_relays(items: tuple[Relay, ...], out: keys_pb2.KeyMessage) -> None:
    requests, epochs, units, ciphertexts, errors = zip(*items, strict=True)
    relays = out.relays
    relays.request.extend(requests)
    relays.epoch.extend(epochs)
    relays.units.extend(units)
    relays.errors.extend(errors)
    relays.n_bytes.extend(map(len, ciphertexts))
    relays.ciphertext = b"".join(ciphertexts)


def _encode_confirms(items: tuple[Confirm, ...], out: keys_pb2.KeyMessage) -> None:
    requests, media, serials, units, tags = zip(*items, strict=True)
    confirms = out.confirms
    confirms.request.extend(requests)
    confirms.medium.extend(media)
    confirms.serial.extend(serials)
    confirms.units.extend(units)
    confirms.n_bytes.extend(map(len, tags))
    confirms.tag = b"".join(tags)


def _encode_delivered(items: tuple[Delivered, ...], out: keys_pb2.KeyMessage) -> None:
    requests, media, periods, key_ids, numbers = zip(*items, strict=True)
    delivered = out.delivered
    delivered.request.extend(requests)
    delivered.medium.extend(media)
    delivered.period.extend(periods)
    delivered.number.extend(numbers)
    delivered.units.extend(map(len, key_ids))
    delivered.key_ids.extend(chain.from_iterable(key_ids))


def _encode_assigned(items: tuple[Assigned, ...], out: keys_pb2.KeyMessage) -> None:
    for item in items:
        out.assigned.add(
            request=item.request,
            master=item.master,
            slaves=item.slaves,
            key_bits=item.key_bits,
            names=item.names,
            unit_ids=item.unit_ids,
            ciphertext=item.pad,
            number=item.number,
        )


def _encode_discards(items: tuple[Discard, ...], out: keys_pb2.KeyMessage) -> None:
    for item in items:
        out.discards.add(
            request=item.request, medium=item.medium, serial=item.serial, number=item.number
        )


def _encode_acks(items: tuple[Ack, ...], out: keys_pb2.KeyMessage) -> None:
    out.settled.extend(item.number for item in items)


_ENCODERS: dict[type, Callable[[Any, keys_pb2.KeyMessage], None]] = {
    Relay: _encode_relays,
    Confirm: _encode_confirms,
    Delivered: _encode_delivered,
    Assigned: _encode_assigned,
    Discard: _encode_discards,
    Ack: _encode_acks,
}


def _decode_bundle(item: keys_pb2.KeyMessage) -> KeyBundle:
    try:
        items: tuple[KeyTraffic, ...] = (
            *_relays(item.relays),
            *_confirms(item.confirms),
            *_delivered(item.delivered),
            *map(_decode_assigned, item.assigned),
            *map(_decode_discard, item.discards),
            *map(Ack, item.settled),
        )
    except ValueError as error:
        raise ValueError(f"message {item.sequence} of {item.source}: {error}") from error
    if not items:
        raise ValueError(f"message {item.sequence} of {item.source} is empty")
    for field in (number for said in items for number in said if isinstance(number, int)):
        if field > _MOST:
            raise ValueError(
                f"message {item.sequence} of {item.source} has a number that is too large"
            )
    return KeyBundle(items)


def _relays(said: keys_pb2.Relays) -> Iterator[Relay]:
    ciphertexts = _cut(said.ciphertext, said.n_bytes)
    columns = (said.request, said.epoch, said.units, ciphertexts, said.errors)
    return map(Relay, *_even(columns))


def _confirms(said: keys_pb2.Confirms) -> Iterator[Confirm]:
    media = [MediumCode(medium) for medium in said.medium]
    columns = (said.request, media, said.serial, said.units, _cut(said.tag, said.n_bytes))
    return map(Confirm, *_even(columns))


def _delivered(said: keys_pb2.Delivered) -> Iterator[Delivered]:
    media = [MediumCode(medium) for medium in said.medium]
    key_ids = _cut(tuple(said.key_ids), said.units)
    columns = (said.request, media, said.period, key_ids, said.number)
    return map(Delivered, *_even(columns))


def _even(columns: tuple[Sequence[Any], ...]) -> tuple[Sequence[Any], ...]:
    """Return columns.  Raises `ValueError` if they are not of one length."""
    if len({len(column) for column in columns}) > 1:
        raise ValueError("columns of different lengths")
    return columns


def _cut(whole: Run, sizes: Sequence[int]) -> list[Run]:
    """Cut what was put together.  Raises `ValueError` if the sizes are not those of the parts."""
    ends = list(accumulate(sizes))
    if len(whole) != (ends[-1] if ends else 0):
        raise ValueError("parts that do not make the whole")
    return [whole[end - size : end] for end, size in zip(ends, sizes, strict=True)]


def _decode_discard(void: keys_pb2.Discard) -> Discard:
    return Discard(void.request, MediumCode(void.medium), void.serial, void.number)


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
