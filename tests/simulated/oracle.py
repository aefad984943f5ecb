"""What a run must do, computed from its experiment, network, draws and fault schedule alone.

An oracle imports neither agents, manager nor world.  It is given the experiment as written, the network as
a graph (nodes and links in their order), what chance has drawn, and of every plan only which paths and
wavelengths it chose.  All else it plays itself, window by window, with counts of keys instead of keys and
words instead of messages, by the rules of docs/design.md:

*Windows.*  Time t is window ceil(t / window_s).  A message of window w is read in w + 1.  In a window an
entity first reads its mail by (source, sequence), then does what is due, then says again what nobody has
answered for ten windows.  L = min(nodes, 40) + 4 windows lead from an epoch's end to its period's
beginning.  Period p begins at F + p T, where F is 4 + L windows and one period T; epoch k ends at
F - L + k T.

*Fibers.*  Every `monitor_s` the controller looks at each fiber: LOSS while it is cut or an end of it has no
power, over [at_s, until_s); NOISE while errors exceed the limit or leave no key.  What changed since the
last look is noted and informed of; but one that was down is up only when it has been good at every look for
`wait_to_restore_s`.  The manager plans again when it reads of it, unless the fiber's state is no news (down
is down for whatever cause), once for each news.

*Drift.*  When period p begins and p + 1 is a multiple of `look_every_periods`, the manager asks for usage,
of which a key manager that has begun no period has nothing to tell.  Demand has drifted if its mean over
the last two looks is more than `drift_sigmas` standard errors from the law that the plan assumes, and both
are more than half as many of their own to the same side; then everybody may move.  An error is at least
that of half the mean squared successive difference of up to 24 looks, once there are five.  The new mean is
shrunk by 1 / z^2.  The first law is back when all looks since (up to 24) are nearer to it, and more than
half of `drift_sigmas` from the law assumed.

*Plans.*  A plan leaves out the fibers that are known to be down, shares no wavelength of a fiber (of a
direction, where capacity is counted so), and keeps whatever worked, unless it may move: after a fiber came
up those whom it had displaced, after a drift all.  Nodes leave what goes and join what comes, later
generations taking the place of earlier ones; what was planned in window w makes its first keys in the first
epoch that ends later than w + 4.  What the controller refuses, because a wavelength is not free yet, is
asked for again ten windows later, then after twice as many each time, up to 256 times as many.  A period
costs what is reserved when it begins for the manager.

*Loss.*  A degraded fiber is one with more loss in every span, the most if there are several; what an
eavesdropper does comes on top.  It is seen as noise when no key is left.

*Fiber keys.* A block of epoch k on a hop is complete at the epoch's end and lasts since the one before, or
since w + 4. It is void if the fiber carries nothing at the instant it completes, whatever was before, or is
too noisy (share of interception averaged over the block); else it carries units * min(unit, rate * time) in
whole units. Blocks are endless: links that gather finite ones are outside, and are predicted in
`test_blocks`. The source makes as many keys as its first hop carries and its store has room for (the
reservation's units and `keys.store_units` more, by request or class), and sends them from node to node; as
many arrive as every hop carries, and are available when the target's tag has come back, unless the epoch or
the reservation is over by then. Available keys stay, also without a reservation, until they are used or too
old (`keys.lifetime_s`), and take the room of new ones. With `keys.lifetime_periods` m, keys of epoch k are
gone when epoch k + m ends, before its keys are made. Where that or `keys.keeping_cost` is given, what is
there of earlier epochs than p when period p begins is kept.

*Service.*  When a period begins what is available is delivered.  The rest is short, and ordered from the
cheaper medium (UAV if prices are equal), refused, and then ordered from the other; media whose controller
is silent come last: it owes an answer, and has said nothing for thirty windows.  Orders are decided as they
are read.  A satellite serves if its draw for pair and period allows it, the sky is clear over both ends at
the moment of decision, both have power, its errors are below the limit, and satellites are not lost.  A UAV
serves if its errors are, both ends have power, and enough of the fleet are ready and not lost.  Key is
ready after setup_s + units * unit_bits / skr_bps; both ends are told to take it, and it is delivered when
the target's tag comes, if the period still lasts; it is paid for in any case.  What is missing when the
period ends has lapsed; nothing is ordered for a period that is over, and an order that comes then is
refused.

*A fleet.*  A service of s seconds needs ceil(s / (endurance_s - 2 setup_s)) crews in turn, or as many as
keep a post manned for ever, if that is less; each of `uavs_per_order`.  They are ready setup_s + turn_s
after it.  Those with the lowest numbers fly first, and are lost first.  A UAV that is lost at any time
between the decision and the window in which key is sent for fails the order: it is paid back, and ordered
from the other medium, if that was not tried and the period lasts.  Without a fleet only the loss of all
UAVs counts.

*Entities and messages.*  A power cut takes the node's key manager, an outage any entity: it neither acts
nor reads, and what it would have read is lost.  When it is back it says so, and does what was due; a key
manager gives its applications nothing for a period that it slept through.  What befalls a message is
decided where it leaves: kept apart, lost, damaged, late, doubled, or in another order, by chance that is
given with its number.  A damaged message is a lost one; damaged ciphertext and tags arrive, and their keys
are void.  When the last period is over nothing befalls anybody any more, and the run goes on until nobody
waits.

Two cases it does not predict (`Undetermined`).  A block or a site so near to a limit that only a draw can
tell.  And keys that are relayed between neighbours of which only one has heard of a new generation: both
ends counted errors of different blocks, and whether they counted as many is chance.

Shared limits (`limits`) it does not know: who of several is served by a pool is the choice of a solver
among equally good ones.  Nor does it know computed orbits and weather.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

from oracle_controllers import FiberController, SatelliteController, UavController
from oracle_mail import Entity, Mail
from oracle_manager import Manager
from oracle_node import Node
from oracle_terms import Calendar, Event, Given
from oracle_world import World


@dataclass
class Row:
    """What the ledger must say of a request in a period."""

    demanded_units: int = 0
    fiber_units: int = 0
    satellite_units: int = 0
    uav_units: int = 0
    late_units: int = 0
    kept_units: int = 0
    expired_units: int = 0
    failed_units: int = 0
    shortfall_units: int = 0
    shortfall_s: float = 0.0
    needed_s: float = 0.0
    down_s: float = 0.0
    reservation_cost: int = 0
    satellite_cost: int = 0
    uav_cost: int = 0


@dataclass(frozen=True)
class Prediction:
    """Events in no order, a row for each (request, period), and what is wrong with the plans given."""

    events: list[Event]
    rows: dict[tuple[int, int], Row]
    objections: list[str]
    last_window: int


def predict(given: Given) -> Prediction:
    """Return what a run must do.  Raises `Undetermined`."""
    world, events, wrong = World(given), list[Event](), list[str]()
    manager = Manager(world, events, wrong)
    people: list[Entity] = [manager, FiberController(world, events)]
    people += [SatelliteController(world, events), UavController(world, events)]
    people += [Node(node, world, events) for node in given.graph]
    _play(people, Mail(world), world.calendar.last_window)
    manager.finish()
    requests = range(len(given.fields["demand"]["requests"]))
    rows = _rows(events, world.calendar, requests)
    last = world.calendar.last_window
    return Prediction([e for e in events if e.window <= last], rows, wrong, last)


def _play(people: list[Entity], mail: Mail, last_window: int) -> None:
    """Play all windows, and then as many as it takes until nobody waits."""
    window = 0
    while window <= last_window or mail.is_under_way or _is_unsettled(people, mail, window - 1):
        for who in people:
            letters = mail.read(who.name, window)
            if mail.is_out(who.name, window):
                mail.post(who.name, window, [])
                continue
            if window == 0 or mail.is_back(who.name, window):
                who.begin(window)
            mail.post(who.name, window, who.step(window, letters))
        window += 1


def _is_unsettled(people: list[Entity], mail: Mail, window: int) -> bool:
    waits = any(who.waits() for who in people)
    is_back_later = mail.is_waited_for([who.name for who in people], window)
    return mail.is_disturbed and (waits or mail.is_held or is_back_later)


def _rows(
    events: list[Event], calendar: Calendar, requests: Sequence[int]
) -> dict[tuple[int, int], Row]:
    """Add events up to what the ledger must say."""
    uses: dict[tuple[int, int], _Use] = defaultdict(_Use)
    rows = {(r, period): Row() for period in range(calendar.periods) for r in requests}
    for event in events:
        place = event.request, event.period
        if event.what == "reserved":
            for period in range(event.period, calendar.periods):
                rows[event.request, period].reservation_cost = event.cost
        elif place in rows:
            _add(rows[place], event)
            uses[place].take(event)
    for place, row in rows.items():
        served = row.fiber_units + row.satellite_units + row.uav_units
        row.shortfall_units = row.demanded_units - served
        use = uses[place]
        if row.late_units:
            row.shortfall_s = (use.ended - use.began) * calendar.window_s
        row.needed_s = calendar.period_s if row.demanded_units else 0.0
        row.down_s = _down_s(row.demanded_units, use, calendar)
    return rows


def _add(row: Row, event: Event) -> None:
    match event.what:
        case "demanded":
            row.demanded_units += event.units
        case "short":
            row.late_units += event.units
        case "kept":
            row.kept_units += event.units
        case "expired":
            row.expired_units += event.units
        case "delivered":
            name = f"{event.medium}_units"
            setattr(row, name, getattr(row, name) + event.units)
        case "bought" | "failed":
            name = f"{event.medium}_cost"
            setattr(row, name, getattr(row, name) + event.cost)
            row.failed_units += event.units if event.what == "failed" else 0


@dataclass
class _Use:
    """When a request's keys were asked for, came, and were missing no more; in windows."""

    began: int = 0
    ended: int = 0
    came: list[tuple[int, int]] = field(default_factory=list)

    def take(self, event: Event) -> None:
        """Take note of an event."""
        if event.what == "demanded":
            self.began = self.ended = event.window
        elif event.what in ("delivered", "lapsed"):
            self.ended = event.window
        if event.what == "delivered":
            self.came.append((event.window, event.units))


def _down_s(units: int, use: _Use, calendar: Calendar) -> float:
    """Return for how long no key was in use; each is used for its share of the period."""
    if not units:
        return 0.0
    period_s, use_s = calendar.period_s, calendar.period_s / units
    there_s = sorted((at - use.began) * calendar.window_s for at, n in use.came for _ in range(n))
    up_s = free_s = 0.0
    for at_s in there_s:
        begins_s = max(at_s, free_s)
        free_s = begins_s + use_s
        up_s += max(0.0, min(free_s, period_s) - begins_s)
    return period_s - up_s
