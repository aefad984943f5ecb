"""The oracle's local key manager: epochs, keys that cross the path, periods, and what becomes of keys."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Hashable
from dataclasses import dataclass, field, replace
from typing import Any

from oracle_controllers import Bring, Join, Leave
from oracle_mail import Ack, Confirm, Entity, Letter, Relay, Told
from oracle_manager import Short, Usage
from oracle_nature import Undetermined
from oracle_terms import FIBER, MANAGER, RETRY_WINDOWS, Event, key_manager
from oracle_world import World


@dataclass(frozen=True)
class Use:
    """Keys that the source gave to its application; the target does the same."""

    medium: str
    serial: int
    units: int


@dataclass(frozen=True)
class Void:
    """Keys that nobody may use."""

    request: int
    medium: str
    serial: int


@dataclass
class _Channel:
    """A node's part in a reservation; `pads` are units of key shared with neighbours in this epoch."""

    join: Join
    began_s: float
    due: int
    epoch: int = -1
    pads: dict[str, int] = field(default_factory=dict)


@dataclass
class _Crossing:
    """How far an epoch's keys have come here: what was sent on, or that it is over."""

    epoch: int
    sent: tuple[str, Relay | Confirm] | None = None
    is_confirmed: bool = False
    is_over: bool = False


@dataclass
class _Block:
    """Keys at their source that were made together."""

    units: int
    made_s: float
    is_there: bool = False


@dataclass
class _Retransmitted:
    to: str
    body: Any
    again: int


class Node(Entity):
    """See the module; `requests` are those whose source it is."""

    def __init__(self, node: str, world: World, events: list[Event]) -> None:
        super().__init__(key_manager(node), events)
        self._node, self._world, self._calendar = node, world, world.calendar
        items = world.given.fields["demand"]["requests"]
        self._targets = {n: i["target"] for n, i in enumerate(items) if i["source"] == node}
        keys = world.given.fields["keys"]
        self._beyond = {n: _beyond(keys["store_units"], item) for n, item in enumerate(items)}
        self._lifetime_s = keys["lifetime_s"] or math.inf
        self._lifetime_epochs = keys["lifetime_periods"]
        self._tells_kept = bool(keys["keeping_cost"] or keys["lifetime_periods"])
        self._channels: dict[int, _Channel] = {}
        self._crossings: dict[int, _Crossing] = {}
        self._released: dict[int, int] = {}
        self._last_epoch: dict[int, int] = {}
        self._stock: dict[int, dict[int, _Block]] = {}
        self._room: dict[int, int] = {}
        self._fillers: set[str] = set()
        self._period = 0
        self._demanded: Counter[int] = Counter()
        self._short: dict[int, int] = {}
        self._brought: dict[tuple[str, int], Bring] = {}
        self._left: dict[tuple[str, int], int] = {}
        self._retransmissions: dict[Hashable, _Retransmitted] = {}
        self._told: Counter[str] = Counter()
        self._settled: Counter[str] = Counter()
        self._done: Counter[str] = Counter()
        self._ahead: dict[str, dict[int, Use | Void]] = defaultdict(dict)
        self._to_settle: dict[str, None] = {}

    def act(self) -> None:
        """Void what is too old, renew blocks, begin periods, settle, repeat."""
        for request in self._stock:
            for serial, block in list(self._stock[request].items()):
                if block.is_there and block.made_s <= self._now_s - self._lifetime_s:
                    self._void(request, serial)
                elif block.is_there and self._is_past(serial):
                    units, period = block.units, self._period - 1
                    self.note("expired", request, period, "end-to-end", units)
                    self._void(request, serial)
        self._begin_epochs()
        self._begin_periods()
        for source in self._to_settle:
            self.say(source, Ack(self._done[source]))
        self._to_settle = {}
        for item in self._retransmissions.values():
            if item.again <= self.window:
                item.again = self.window + RETRY_WINDOWS
                self.say(item.to, item.body)

    def waits(self) -> bool:
        """Return whether an answer is missing, or an effect."""
        return super().waits() or bool(self._retransmissions)

    def tell(self, what: Any) -> Any:
        """Return what has been asked for, by request; nothing before the first period."""
        return dict(self._demanded) if isinstance(what, Usage) else None

    def obey(self, sender: str, what: Any) -> bool:
        """Join a reservation, leave it, or take what a service brings."""
        match what:
            case Join():
                here = self._channels.get(what.request)
                if here is not None and here.join.generation >= what.generation:
                    return False
                self._join(what)
            case Leave():
                self._leave(what.request, what.generation)
            case Bring():
                self._bring(what)
        return True

    def hear(self, letter: Letter) -> None:
        """Take key traffic."""
        match letter.body:
            case Relay() as relay:
                self._on_relay(letter.sender, relay)
            case Confirm() as confirm if confirm.medium == FIBER:
                self._on_confirm(letter.sender, confirm)
                self._fill(confirm.request)
            case Confirm() as confirm:
                self._on_brought(letter.sender, confirm)
            case Told() as told if letter.sender in self._fillers:
                self._on_told(letter.sender, told)
            case Ack() as settled:
                last = min(settled.number, self._told[letter.sender])
                for number in range(self._settled[letter.sender] + 1, last + 1):
                    self._retransmissions.pop((letter.sender, number), None)
                self._settled[letter.sender] = max(self._settled[letter.sender], last)

    @property
    def _now_s(self) -> float:
        return self.window * self._calendar.window_s

    def _is_past(self, serial: int) -> bool:
        """Return whether keys of an epoch have been there for all periods that they may serve in."""
        if self._lifetime_epochs is None:
            return False
        last = self._calendar.window(self._calendar.epoch_s(serial + self._lifetime_epochs))
        return last <= self.window

    def _repeat(self, name: Hashable, to: str, body: Any) -> None:
        self._retransmissions[name] = _Retransmitted(to, body, self.window + RETRY_WINDOWS)
        self.say(to, body)

    def _instruct(self, request: int, what: Use | Void) -> None:
        target = key_manager(self._targets[request])
        self._told[target] += 1
        number = self._told[target]
        self._repeat((target, number), target, Told(number, what, isinstance(what, Void)))

    # Reservations and epochs.

    def _join(self, join: Join) -> None:
        if join.generation <= self._released.get(join.request, -1):
            return
        self._leave(join.request, join.generation - 1)
        due, began_s = self._calendar.epoch_after(join.start_s), join.start_s
        while due <= self._last_epoch.get(join.request, -1):
            began_s, due = self._calendar.epoch_s(due), due + 1
        self._channels[join.request] = _Channel(join, began_s, due)
        self._open(join)

    def _open(self, join: Join) -> None:
        if not join.upstream:
            self._stock.setdefault(join.request, {})
            beyond = self._beyond[join.request]
            self._room[join.request] = join.units + beyond if join.units else 0
        elif not join.downstream:
            self._fillers.add(key_manager(join.peer))

    def _leave(self, request: int, generation: int) -> None:
        self._released[request] = max(generation, self._released.get(request, -1))
        channel = self._channels.get(request)
        if channel is not None and channel.join.generation <= generation:
            del self._channels[request]
            self._end_epoch(channel)

    def _begin_epochs(self) -> None:
        """Begin all epochs that are due, the earliest first."""
        while due := [item for item in self._channels.values() if self._is_due(item)]:
            first = min(item.due for item in due)
            turning = [item for item in due if item.due == first]
            for channel in turning:
                self._end_epoch(channel)
            for channel in turning:
                self._begin_epoch(channel)

    def _is_due(self, channel: _Channel) -> bool:
        return self._calendar.epoch_s(channel.due) <= self._now_s

    def _begin_epoch(self, channel: _Channel) -> None:
        join = channel.join
        since_s, at_s = channel.began_s, self._calendar.epoch_s(channel.due)
        channel.epoch, channel.began_s, channel.due = channel.due, at_s, channel.due + 1
        for peer in filter(None, (join.upstream, join.downstream)):
            channel.pads[peer] = self._world.block_units(
                (self._node, peer), since_s, at_s, join.units
            )
        crossing = self._crossings[join.request] = _Crossing(channel.epoch)
        self._last_epoch[join.request] = channel.epoch
        if not join.upstream:
            self._send_keys(channel, crossing)

    def _end_epoch(self, channel: _Channel) -> None:
        crossing = self._crossings.pop(channel.join.request, None)
        if crossing is None:
            return
        is_forwarded = crossing.sent and not crossing.is_confirmed and not crossing.is_over
        if is_forwarded and not channel.join.upstream:
            self._retransmissions.pop(channel.join.request, None)
            self._void(channel.join.request, crossing.epoch)

    def _send_keys(self, channel: _Channel, crossing: _Crossing) -> None:
        request, stock = channel.join.request, self._stock[channel.join.request]
        held = sum(block.units for block in stock.values())
        room = max(0, self._room[request] - held)
        units = min(channel.pads[channel.join.downstream], room)
        if units == 0:
            return
        stock[channel.epoch] = _Block(units, channel.began_s)
        relay = Relay(request, channel.epoch, units, channel.join.generation)
        crossing.sent = key_manager(channel.join.downstream), relay
        self._repeat(request, *crossing.sent)

    def _on_relay(self, sender: str, relay: Relay) -> None:
        channel, crossing = (
            self._channels.get(relay.request),
            self._crossings.get(relay.request),
        )
        if channel is None or sender != key_manager(channel.join.upstream):
            return
        if crossing is None or crossing.epoch != relay.epoch or crossing.is_over:
            return
        if crossing.sent is None:
            self._pass_on(channel, crossing, relay)
        if crossing.sent is not None:
            self.say(*crossing.sent)

    def _pass_on(self, channel: _Channel, crossing: _Crossing, relay: Relay) -> None:
        join = channel.join
        if join.generation != relay.generation:
            raise Undetermined("two ends of a hop are in different generations")
        if join.downstream:
            units = min(relay.units, channel.pads[join.downstream])
            onward = replace(relay, units=units, is_flipped=relay.is_flipped and units > 0)
            crossing.sent = key_manager(join.downstream), onward
        else:
            is_true = not relay.is_flipped
            confirm = Confirm(relay.request, FIBER, relay.epoch, relay.units, is_true)
            crossing.sent = key_manager(join.peer), confirm

    def _on_confirm(self, sender: str, confirm: Confirm) -> None:
        stock, crossing = self._stock.get(confirm.request), self._crossings.get(confirm.request)
        if stock is None or crossing is None or sender != self._target(confirm.request):
            return
        is_open = crossing.sent and not crossing.is_confirmed and not crossing.is_over
        if not is_open or crossing.epoch != confirm.serial:
            return
        self._retransmissions.pop(confirm.request, None)
        if not confirm.is_true or confirm.is_flipped or confirm.serial not in stock:
            self._end_epoch(self._channels[confirm.request])
            return
        crossing.is_confirmed = True
        stock[confirm.serial] = replace(
            stock[confirm.serial], units=confirm.units, is_there=confirm.units > 0
        )
        if not confirm.units:
            del stock[confirm.serial]

    def _target(self, request: int) -> str:
        return key_manager(self._targets.get(request, ""))

    def _void(self, request: int, serial: int) -> None:
        self._stock[request].pop(serial, None)
        self._instruct(request, Void(request, FIBER, serial))

    # Periods.

    def _begin_periods(self) -> None:
        """Begin the periods that are due; of one that was slept through nobody hears."""
        begins, last = self._calendar.begins, self._calendar.periods
        news: list[Short] = []
        while self._targets and self._period <= last and begins(self._period) <= self.window:
            for request, units in self._short.items():
                self.note("lapsed", request, self._period - 1, units=units)
            self._short, news = {}, []
            if self._period < last:
                is_over = begins(self._period + 1) <= self.window
                for request in self._targets:
                    self._begin_period(request, is_over=is_over)
                news = [Short(r, self._period, units) for r, units in self._short.items()]
            self._period += 1
        for short in news:
            self.ask(MANAGER, short)

    def _begin_period(self, request: int, *, is_over: bool) -> None:
        stock = self._stock.get(request, {}).items()
        kept = sum(block.units for k, block in stock if block.is_there and k < self._period)
        if self._tells_kept and kept:
            self.note("kept", request, self._period, "end-to-end", kept)
        units = self._world.demanded(request, self._period)
        self._demanded[request] += units
        self.note("demanded", request, self._period, units=units)
        self._short[request] = units
        self._serve(request, self._period, FIBER, 0 if is_over else self._take(request, units))
        if short := self._short.get(request, 0):
            self.note("short", request, self._period, units=short)

    def _take(self, request: int, units: int) -> int:
        """Take the oldest keys that are there."""
        stock, taken = self._stock.get(request, {}), 0
        for serial, block in list(stock.items()):
            if block.is_there:
                here = min(block.units, units - taken)
                taken, block.units = taken + here, block.units - here
                if not block.units:
                    del stock[serial]
        return taken

    def _serve(self, request: int, period: int, medium: str, units: int, serial: int = 0) -> None:
        if units:
            self.note("delivered", request, period, medium, units)
            self._instruct(request, Use(medium, serial, units))
        self._short[request] -= units
        if not self._short[request]:
            del self._short[request]

    def _fill(self, request: int) -> None:
        """Deliver what has just been confirmed, if it was made for this period."""
        channel, period = self._channels.get(request), self._period - 1
        if channel is None or request not in self._short or request not in self._stock:
            return
        if channel.began_s <= self._calendar.begins_s(period):
            self._serve(request, period, FIBER, self._take(request, self._short[request]))

    # What services bring.

    def _bring(self, bring: Bring) -> None:
        order, name = bring.order, (bring.order.medium, bring.order.number)
        self._brought[name], self._left[name] = bring, order.units
        if not bring.is_source:
            self._fillers.add(key_manager(bring.peer))
            confirm = Confirm(order.request, order.medium, order.number, order.units)
            self._repeat(name, key_manager(bring.peer), confirm)

    def _on_brought(self, sender: str, confirm: Confirm) -> None:
        name = confirm.medium, confirm.serial
        bring = self._brought.get(name)
        if bring is None or not bring.is_source or sender != key_manager(bring.peer):
            return
        del self._brought[name]
        order, left = bring.order, self._left.pop(name)
        is_waited_for = order.request in self._short and order.period == self._period - 1
        if not confirm.is_flipped and is_waited_for:
            units = min(left, self._short[order.request])
            self._serve(order.request, order.period, order.medium, units, order.number)
            left -= units
        if left:
            self._instruct(order.request, Void(order.request, *name))

    # What the source of keys says.

    def _on_told(self, sender: str, told: Told) -> None:
        self._to_settle[sender] = None
        if told.number > self._done[sender]:
            self._ahead[sender][told.number] = told.what
        while (what := self._ahead[sender].pop(self._done[sender] + 1, None)) is not None:
            self._done[sender] += 1
            self._carry_out(what)

    def _carry_out(self, what: Use | Void) -> None:
        name = what.medium, what.serial
        if isinstance(what, Void) and what.medium == FIBER:
            crossing = self._crossings.get(what.request)
            if crossing is not None and crossing.epoch == what.serial:
                crossing.is_over, crossing.sent = True, None
        elif name in self._left:
            self._left[name] -= what.units if isinstance(what, Use) else self._left[name]
            if not self._left[name]:
                del self._left[name], self._brought[name]
                self._retransmissions.pop(name, None)


def _beyond(given: Any, item: dict[str, Any]) -> int:
    """Return what a request's store holds beyond a period's units, by its name, class, or for all."""
    sizes = given if isinstance(given, dict) else {item["class"]: given}
    size = sizes.get(item["id"], sizes.get(item["class"], "reserved"))
    return 0 if size == "reserved" else int(size)
