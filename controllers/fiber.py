"""The fiber controller: configures every node on the path of a reservation, and watches the fibers.

It takes a reservation from the manager only if the path exists and brings as much, and every wavelength is
free on every fiber of it; then it configures the local key managers, and tells the manager when all have
agreed.  It looks at every fiber at regular times and informs the manager of each that went down or came up.
A fiber is down if nothing comes through (loss), or too many errors to make key (noise), or if an operator
has taken it, or one of its nodes, out of service; the manager then moves what is on it, which works until
then (graceful shutdown, RFC 5817).  A fiber that was down for another reason is up when it has been good at
every look for a while, so one that flaps stays down.  Looks that can find nothing new are left out, which
changes nothing but the work.
It does not know demand, prices or why a path was chosen.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from math import inf

from controllers.managed import ManagedCore
from controllers.ports import FiberProbe, LinkSample
from controllers.snmp_agent import Refusal, Tables
from protos.core import FIBER_CONTROLLER, GLOBAL_MANAGER, Measure, key_manager_of
from protos.facts import Fact, FactKind, LinkCondition, LinkState, Reason, label_of
from protos.mib import (
    ChannelRow,
    FiberAdminRow,
    FiberStateRow,
    FiberThresholdRow,
    NodeAdminRow,
    ReservationHopRow,
    ReservationRow,
    ReservationWavelengthRow,
    Row,
    TransceiverRow,
)
from protos.notifications import LINK_DOWN, LINK_UP, RESERVATION_UP
from protos.pdu import ErrorStatus, Pdu, Verb
from protos.rows import command, notify
from protos.syntax import AdminStatus, DownCause, MediumCode, OperStatus, RowStatus, Syntax

_PPM = 1_000_000
_CONDITIONS = {
    DownCause.NONE: LinkCondition.UP,
    DownCause.LOSS: LinkCondition.LOSS,
    DownCause.NOISE: LinkCondition.NOISE,
    DownCause.ADMIN: LinkCondition.OUT,
}


@dataclass(frozen=True)
class FiberControllerConfig:
    """The fibers, as (node, node, wavelengths), and how their capacity is counted.

    Every `monitor_s` the controller looks at all fibers; one with more errors than `qber_limit` is down,
    and up again when it has been good for `wait_to_restore_s` (ITU-T G.808.1).
    `units_per_wavelength` is what a wavelength brings in a period, by fiber; empty: one unit on all.
    """

    fibers: tuple[tuple[str, str, int], ...]
    directed_capacity: bool
    monitor_s: float
    qber_limit: float
    retry_after_s: float
    wait_to_restore_s: float = 0.0
    units_per_wavelength: tuple[int, ...] = ()


@dataclass
class _Reservation:
    row: ReservationRow
    path: tuple[str, ...]
    wavelengths: tuple[int, ...]
    waiting_for: set[str]


class FiberController(ManagedCore[ReservationRow]):
    """See the module.  With a request it keeps the reservation that waits for the answer."""

    def __init__(self, config: FiberControllerConfig, probe: FiberProbe) -> None:
        super().__init__(FIBER_CONTROLLER, config.retry_after_s)
        self._config = config
        self._probe = probe
        self._qber_limit, self._wait_s = config.qber_limit, config.wait_to_restore_s
        self._nodes = tuple(dict.fromkeys(node for a, b, _ in config.fibers for node in (a, b)))
        self._out: set[int] = set()
        self._drained: set[str] = set()
        self._down: dict[int, DownCause] = {}
        self._good_since_s: dict[int, float] = {}
        self._looked_s: float | None = None
        self._next_look_s = config.monitor_s
        self._before = (0.0, 0.0, 0.0)  # the next look, the next news, and the last look before it
        self._fibers = {frozenset((a, b)): count for a, b, count in config.fibers}
        self._ends = {frozenset((a, b)): (a, b) for a, b, _ in config.fibers}
        brings = config.units_per_wavelength or (1,) * len(config.fibers)
        self._brings = dict(zip(self._fibers, brings, strict=True))
        self._lit: dict[tuple[str, str], set[int]] = defaultdict(set)
        self._reservations: dict[int, _Reservation] = {}
        self._over: dict[int, int] = {}

    def measures(self) -> list[Measure]:
        """Return how many wavelengths are lit on each fiber, which are up, and alarms by cause."""
        lit = [
            Measure("lit_wavelengths", (("link", label_of(link)),), len(lit))
            for link, lit in self._lit.items()
        ]
        up = [
            Measure("link_up", (("link", label_of((a, b))),), float(number not in self._down))
            for number, (a, b, _) in enumerate(self._config.fibers)
        ]
        alarms = [
            Measure(
                "link_alarm",
                (("link", label_of((a, b))), ("cause", cause.name.lower())),
                float(self._down.get(number) is cause),
            )
            for number, (a, b, _) in enumerate(self._config.fibers)
            for cause in (DownCause.LOSS, DownCause.NOISE)
        ]
        return [*lit, *up, *alarms]

    def slept_until(self, now_s: float) -> None:
        """Take the looks that were left out until then as having found nothing new."""
        while self._next_look_s <= now_s:
            self._next_look_s += self._config.monitor_s

    def _act(self, now_s: float) -> None:
        due_s = self._due_s()
        if due_s is not None and now_s >= due_s:
            while self._next_look_s <= now_s:
                self._next_look_s += self._config.monitor_s
            self._look(now_s)
            self._looked_s = now_s

    def _due_s(self) -> float | None:
        """Return when to look next: at the last regular time before there may be news, or the next one.

        The last before and not the first after, since a look that is due between two windows takes place
        in the later one.
        """
        if self._looked_s is None:
            return self._next_look_s
        restored_s = [since_s + self._wait_s for since_s in self._good_since_s.values()]
        news_s = min([self._probe.may_change_s(self._looked_s), *restored_s])
        if news_s == inf:
            return None
        if self._before[:2] != (self._next_look_s, news_s):
            due_s = self._next_look_s
            while (later_s := due_s + self._config.monitor_s) <= news_s:
                due_s = later_s
            self._before = self._next_look_s, news_s, due_s
        return self._before[2]

    def _accept(self, rows: Sequence[Row], _source: str, now_s: float) -> Refusal | None:
        if rows and isinstance(rows[0], FiberAdminRow | NodeAdminRow | FiberThresholdRow):
            return self._operate(rows, now_s)
        head, hops, wavelength_rows = _parts(rows)
        if head is not None and head.row_status == RowStatus.DESTROY:
            self._release(head, now_s)
            return None
        if head is None or len(hops) < 2:
            return Refusal(ErrorStatus.NO_CREATION)
        if head.generation <= self._over.get(head.request, -1):
            return None  # it has been taken down, which arrived first
        path = tuple(hop.node for hop in sorted(hops, key=lambda hop: hop.position))
        wavelengths = tuple(item.wavelength for item in wavelength_rows)
        current = self._reservations.get(head.request)
        if current is not None and current.row.generation < head.generation:
            self._release(replace(head, generation=current.row.generation), now_s)
        if head.request in self._reservations or not self._fits(head, path, wavelengths):
            return Refusal(ErrorStatus.INCONSISTENT_VALUE)
        for fiber in self._directions(path):
            self._lit[fiber].update(wavelengths)
        waiting_for = {key_manager_of(node) for node in path}
        pending = replace(head, row_status=RowStatus.NOT_READY)
        reservation = _Reservation(pending, path, wavelengths, waiting_for)
        self._reservations[head.request] = reservation
        self._configure(reservation, now_s)
        return None

    def _operate(self, rows: Sequence[Row], now_s: float) -> Refusal | None:
        """Do what an operator sets, and look at all fibers at once."""
        if any(isinstance(row, FiberThresholdRow) and row.qber_limit_ppm > _PPM for row in rows):
            return Refusal(ErrorStatus.INCONSISTENT_VALUE)
        for row in rows:
            match row:
                case FiberAdminRow(fiber, status):
                    (self._out.add if status == AdminStatus.DOWN else self._out.discard)(fiber)
                case NodeAdminRow(_, node, status):
                    is_down = status == AdminStatus.DOWN
                    (self._drained.add if is_down else self._drained.discard)(node)
                case FiberThresholdRow(_, limit_ppm, wait_ms):
                    if limit_ppm != self._threshold.qber_limit_ppm:
                        self._qber_limit = limit_ppm / _PPM
                    if wait_ms != self._threshold.wait_to_restore_ms:
                        self._wait_s = wait_ms / 1_000
        while self._next_look_s <= now_s:
            self._next_look_s += self._config.monitor_s
        self._look(now_s)
        self._looked_s = now_s
        return None

    def _release(self, head: ReservationRow, now_s: float) -> None:
        """Take a reservation down, up to this generation; one that has not arrived must not come."""
        self._over[head.request] = max(self._over.get(head.request, -1), head.generation)
        reservation = self._reservations.get(head.request)
        if reservation is None or reservation.row.generation > head.generation:
            return
        del self._reservations[head.request]
        for fiber in self._directions(reservation.path):
            self._lit[fiber].difference_update(reservation.wavelengths)
        for node, row in zip(reservation.path, _channel_rows(reservation), strict=True):
            gone = replace(row, row_status=RowStatus.DESTROY)
            self._request(key_manager_of(node), command(gone), None, now_s)

    def _look(self, now_s: float) -> None:
        """Compare every fiber with what it was, and inform the manager of changes."""
        for number, (a, b, _) in enumerate(self._config.fibers):
            sample = self._probe.sample(MediumCode.FIBER, a, b, now_s)
            cause = DownCause.ADMIN if self._is_out(number) else self._cause(sample)
            was = self._down.get(number, DownCause.NONE)
            if cause is DownCause.NONE and was in (DownCause.LOSS, DownCause.NOISE):
                good_since_s = self._good_since_s.setdefault(number, now_s)
                if now_s - good_since_s < self._wait_s:
                    continue
            self._good_since_s.pop(number, None)
            if cause is was:
                continue
            self._down.pop(number, None)
            if cause is not DownCause.NONE:
                self._down[number] = cause
            state = LinkState((a, b), _CONDITIONS[cause], sample.qber)
            self._effects.note(Fact(FactKind.LINK, details=state))
            kind = LINK_UP if cause is DownCause.NONE else LINK_DOWN
            inform = notify(kind, self._state(number), 0, now_s, Verb.INFORM)
            self._request(GLOBAL_MANAGER, inform, None, now_s)

    @property
    def _threshold(self) -> FiberThresholdRow:
        wait_ms = min(round(self._wait_s * 1_000), Syntax.UNSIGNED32.most)
        return FiberThresholdRow(1, round(self._qber_limit * _PPM), wait_ms)

    def _is_out(self, number: int) -> bool:
        """Whether a fiber is out of service, by itself or with one of its nodes."""
        a, b, _ = self._config.fibers[number]
        return number in self._out or not self._drained.isdisjoint((a, b))

    def _state(self, number: int) -> FiberStateRow:
        a, b, _ = self._config.fibers[number]
        status = OperStatus.DOWN if number in self._down else OperStatus.UP
        return FiberStateRow(number, a, b, status, self._down.get(number, DownCause.NONE))

    def _cause(self, sample: LinkSample) -> DownCause:
        useless = sample.sifted_bps > 0 and sample.skr_bps == 0
        if useless or sample.qber > self._qber_limit:
            return DownCause.NOISE
        return DownCause.NONE if sample.usable else DownCause.LOSS

    def _fits(
        self, head: ReservationRow, path: tuple[str, ...], wavelengths: tuple[int, ...]
    ) -> bool:
        hops = [frozenset(hop) for hop in pairwise(path)]
        return (
            (path[0], path[-1]) == (head.source, head.target)
            and len(set(path)) == len(path)
            and len(set(wavelengths)) == len(wavelengths) > 0
            and all(hop in self._fibers for hop in hops)
            and len(wavelengths) <= head.units
            and head.units <= len(wavelengths) * min(self._brings[hop] for hop in hops)
            and all(0 <= w < self._fibers[hop] for hop in hops for w in wavelengths)
            and not any(self._lit[f] & set(wavelengths) for f in self._directions(path))
        )

    def _directions(self, path: tuple[str, ...]) -> list[tuple[str, str]]:
        if self._config.directed_capacity:
            return list(pairwise(path))
        return [self._ends[frozenset(hop)] for hop in pairwise(path)]

    def _configure(self, reservation: _Reservation, now_s: float) -> None:
        head = reservation.row
        tuned: list[Row] = [
            TransceiverRow(head.request, number, wavelength)
            for number, wavelength in enumerate(reservation.wavelengths, 1)
        ]
        for node, row in zip(reservation.path, _channel_rows(reservation), strict=True):
            self._request(key_manager_of(node), command(row, *tuned), head, now_s)

    def _on_answer(self, source: str, head: ReservationRow, answer: Pdu, now_s: float) -> None:
        reservation = self._reservations.get(head.request)
        if reservation is None or reservation.row.generation != head.generation:
            return
        request = head.request
        if answer.error_status is not ErrorStatus.NO_ERROR:
            why = Reason(answer.error_status.name)
            self._effects.note(Fact(FactKind.REJECTED, request=request, peer=source, details=why))
            return
        reservation.waiting_for.discard(source)
        is_new = reservation.row.row_status == RowStatus.NOT_READY
        if is_new and not reservation.waiting_for:
            active = replace(reservation.row, row_status=RowStatus.ACTIVE)
            reservation.row = active
            self._effects.note(Fact(FactKind.ACTIVE, request=request, units=active.units))
            inform = notify(RESERVATION_UP, active, 0, now_s, Verb.INFORM)
            self._request(GLOBAL_MANAGER, inform, None, now_s)

    def _tables(self) -> Tables:
        return {
            FiberStateRow: (self._state(number) for number in range(len(self._config.fibers))),
            FiberAdminRow: (
                FiberAdminRow(number, _status(number in self._out))
                for number in range(len(self._config.fibers))
            ),
            NodeAdminRow: (
                NodeAdminRow(number, node, _status(node in self._drained))
                for number, node in enumerate(self._nodes)
            ),
            FiberThresholdRow: (self._threshold,),
            ReservationRow: (item.row for item in self._reservations.values()),
            ReservationHopRow: (
                ReservationHopRow(request, number, node)
                for request, item in self._reservations.items()
                for number, node in enumerate(item.path, 1)
            ),
            ReservationWavelengthRow: (
                ReservationWavelengthRow(request, number, wavelength)
                for request, item in self._reservations.items()
                for number, wavelength in enumerate(item.wavelengths, 1)
            ),
        }


def _status(is_out: bool) -> AdminStatus:
    return AdminStatus.DOWN if is_out else AdminStatus.UP


def _parts(
    rows: Sequence[Row],
) -> tuple[ReservationRow | None, list[ReservationHopRow], list[ReservationWavelengthRow]]:
    heads = [row for row in rows if isinstance(row, ReservationRow)]
    hops = [row for row in rows if isinstance(row, ReservationHopRow)]
    wavelength_rows = [row for row in rows if isinstance(row, ReservationWavelengthRow)]
    complete = len(heads) == 1 and len(heads) + len(hops) + len(wavelength_rows) == len(rows)
    requests = {row.request for row in hops} | {row.request for row in wavelength_rows}
    same = complete and requests <= {heads[0].request}
    return (heads[0] if same else None), hops, wavelength_rows


def _channel_rows(reservation: _Reservation) -> Iterator[ChannelRow]:
    """Yield what each node of the path must know, in path order."""
    head, path = reservation.row, reservation.path
    peers = {path[0]: path[-1], path[-1]: path[0]}
    for upstream, node, downstream in zip(("", *path), path, (*path[1:], ""), strict=False):
        yield ChannelRow(
            request=head.request,
            upstream=upstream,
            downstream=downstream,
            peer=peers.get(node, ""),
            units=head.units,
            start_ms=head.start_ms,
            due_ms=head.due_ms,
            period_ms=head.period_ms,
            row_status=RowStatus.CREATE_AND_GO,
            generation=head.generation,
        )
