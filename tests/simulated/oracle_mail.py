"""How the oracle's entities talk: letters, what befalls them, and who asks until there is an answer.

A letter of window w is read in w + 1, letters of a window by sender (a node by its number) and number.
Who asks asks again every ten windows until there is an answer; a repeat of an order is answered as before
and changes nothing.
Nothing here knows what letters mean, but for what damage does to keys on their way.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from oracle_terms import MANAGER, RETRY_WINDOWS, Event, entity, key_manager
from oracle_world import World, is_on, until

COPY = 2**40


@dataclass(frozen=True)
class Letter:
    """What one entity says to another; every sender numbers its letters."""

    sender: str
    to: str
    number: int
    body: Any


@dataclass(frozen=True)
class Ask:
    """Something that must be answered."""

    number: int
    what: Any


@dataclass(frozen=True)
class Reply:
    """An answer."""

    number: int
    is_yes: bool
    content: Any = None


@dataclass(frozen=True)
class Relay:
    """End-to-end keys of an epoch on their way; `is_flipped` if a bit has been turned over."""

    request: int
    epoch: int
    units: int
    generation: int
    is_flipped: bool = False


@dataclass(frozen=True)
class Confirm:
    """The target's tag of so many keys, which is that of what the source sent, or is not."""

    request: int
    medium: str
    serial: int
    units: int
    is_true: bool = True
    is_flipped: bool = False


@dataclass(frozen=True)
class Ack:
    """All instructions up to this number have been carried out."""

    number: int


@dataclass(frozen=True)
class Told:
    """A numbered instruction of the source of keys: to use them or, if it `is_void`, to destroy them."""

    number: int
    what: Any
    is_void: bool


Item = Relay | Confirm | Told | Ack


@dataclass(frozen=True)
class Bundle:
    """All that a node says to another about keys in a window, by kind."""

    items: tuple[Item, ...]


@dataclass(frozen=True)
class Cold:
    """An agent is there, or back."""


@dataclass
class Mail:
    """Letters under way, and what the schedule does to them and to their readers."""

    world: World

    def __post_init__(self) -> None:
        self._boxes: dict[tuple[str, int], list[Letter]] = defaultdict(list)
        self._held: dict[tuple[str, int], list[Letter]] = defaultdict(list)
        numbered = enumerate(self.world.given.graph, 1)
        self._rank = {key_manager(node): key_manager(str(number)) for number, node in numbered}
        self._faults = self.world.faults("message-fault")
        self._last = self.world.calendar.last_window
        self._outages = [(entity(e["entity"]), e) for e in self.world.faults("outage")]
        self._outages += [(entity(e["node"]), e) for e in self.world.faults("power-cut")]

    def is_out(self, name: str, window: int) -> bool:
        """Return whether an entity does nothing in a window."""
        return any(begin <= window < end for begin, end in self._times(name))

    def is_back(self, name: str, window: int) -> bool:
        """Return whether an entity is there again for the first time."""
        ends = [end for _, end in self._times(name)]
        return window in ends and not self.is_out(name, window)

    def is_waited_for(self, names: Iterable[str], window: int) -> bool:
        """Return whether one of them is still to come back."""
        return any(end > window for name in names for _, end in self._times(name))

    @property
    def is_disturbed(self) -> bool:
        """Whether the schedule ever does anything to letters or readers."""
        return bool(self._faults or self.world.faults("partition") or self._outages)

    @property
    def is_under_way(self) -> bool:
        """Whether a letter waits for its reader."""
        return bool(self._boxes)

    @property
    def is_held(self) -> bool:
        """Whether a letter is held back."""
        return bool(self._held)

    def read(self, name: str, window: int) -> list[Letter]:
        """Return what an entity has got, in order."""
        found = self._boxes.pop((name, window), [])
        return sorted(
            found, key=lambda letter: (self._rank.get(letter.sender, letter.sender), letter.number)
        )

    def post(self, sender: str, window: int, letters: list[Letter]) -> None:
        """Take what an entity says in a window, and what was held back until then."""
        leaving = self._held.pop((sender, window), [])
        for letter in self._shuffled(letters, window):
            if self._is_parted(letter, window):
                continue
            fate = self._fate(letter, window)
            if fate is None:
                continue
            delay, copies, arriving = fate
            for copy in range(copies):
                again = replace(arriving, number=arriving.number + copy * COPY)
                if delay:
                    self._held[sender, window + delay].append(again)
                else:
                    leaving.append(again)
        for letter in leaving:
            self._boxes[letter.to, window + 1].append(letter)

    def _times(self, name: str) -> list[tuple[int, int]]:
        """Return from which window on, and until which, an entity is out; at the end nobody is."""
        window, last = self.world.calendar.window, self._last + 1
        return [
            (window(e["at_s"]), min(last, window(until(e)) if e["until_s"] is not None else last))
            for who, e in self._outages
            if who == name
        ]

    def _is_on(self, fault: Mapping[str, Any], window: int) -> bool:
        return window <= self._last and is_on(fault, window * self.world.calendar.window_s + 1e-9)

    def _is_parted(self, letter: Letter, window: int) -> bool:
        for partition in self.world.faults("partition"):
            homes = [
                [name in map(entity, group) for group in partition["groups"]]
                for name in (letter.sender, letter.to)
            ]
            if all(map(any, homes)) and homes[0] != homes[1] and self._is_on(partition, window):
                return True
        return False

    def _befalling(self, letter: Letter, window: int) -> list[tuple[int, Mapping[str, Any]]]:
        return [
            (place, fault)
            for place, fault in enumerate(self._faults)
            if self._is_on(fault, window)
            and _names(fault["sources"], letter.sender)
            and _names(fault["destinations"], letter.to)
        ]

    def _chance(self, letter: Letter, *question: str | int) -> float:
        about = (letter.sender, letter.to, letter.number)
        return self.world.given.luck_of_message(*about, *question)

    def _shuffled(self, letters: list[Letter], window: int) -> list[Letter]:
        """Let what is said to the same reader change places; numbers stay where they are."""
        found, groups = list(letters), defaultdict(list)
        for place, letter in enumerate(letters):
            if any(fault["reorder"] for _, fault in self._befalling(letter, window)):
                groups[letter.to].append(place)
        for places in groups.values():
            drawn = sorted(places, key=lambda place: self._chance(letters[place], "shuffle"))
            for place, other in zip(places, drawn, strict=True):
                found[place] = replace(letters[place], body=self._mixed(letters[other]))
        return found

    def _mixed(self, letter: Letter) -> Any:
        """Return what a letter says, with the items of a bundle in another order."""
        if not isinstance(letter.body, Bundle):
            return letter.body
        items = letter.body.items
        places = range(len(items))
        drawn = sorted(places, key=lambda place: self._chance(letter, "shuffle", place))
        return bundle([items[place] for place in drawn])

    def _fate(self, letter: Letter, window: int) -> tuple[int, int, Letter] | None:
        """Return how late a letter is, in how many copies, and how it arrives; None: it does not."""
        delay, copies = 0, 1
        for place, fault in self._befalling(letter, window):
            if self._chance(letter, "drop", place) < fault["drop"]:
                return None
            if self._chance(letter, "corrupt", place) < fault["corrupt"]:
                body = _damaged(letter.body)
                if body is None:
                    return None
                letter = replace(letter, body=body)
            most = int(fault["delay_s"] / self.world.calendar.window_s + 1e-9)
            delay += int(self._chance(letter, "delay", place) * (most + 1))
            copies += self._chance(letter, "duplicate", place) < fault["duplicate"]
        return delay, copies, letter


def bundle(items: list[Item]) -> Bundle:
    """Put together what is said: relays, tags, uses, ends of keys, and what has been carried out."""
    return Bundle(tuple(sorted(items, key=_rank)))


def _rank(item: Item) -> int:
    if isinstance(item, Told):
        return 3 if item.is_void else 2
    return 0 if isinstance(item, Relay) else 1 if isinstance(item, Confirm) else 4


def _damaged(body: Any) -> Any:
    """Return what is left of a body: a bundle with one tag or ciphertext flipped, or nothing."""
    items = list(body.items) if isinstance(body, Bundle) else []
    shown = [item for item in items if isinstance(item, Relay | Confirm)]
    if not shown:
        return None
    for place, item in enumerate(items):
        if isinstance(item, Confirm) or (isinstance(item, Relay) and item.units):
            items[place] = replace(item, is_flipped=not item.is_flipped)
            break
    return Bundle(tuple(items))


def _names(names: list[str] | None, who: str) -> bool:
    return names is None or who in map(entity, names)


@dataclass
class _Pending:
    to: str
    ask: Ask
    context: Any
    again: int
    since: int


class Entity:
    """Somebody who reads letters and says what is due; subclasses know what about."""

    def __init__(self, name: str, events: list[Event]) -> None:
        self.name, self.events, self.window = name, events, 0
        self._said = 0
        self._asked = 0
        self._outbox: list[Letter] = []
        self._bundles: dict[str, list[Item]] = {}
        self._pending: dict[int, _Pending] = {}
        self._answered: dict[tuple[str, int], bool] = {}
        self._starts = 0

    def begin(self, window: int) -> None:
        """Be there, or there again."""
        self.window = window
        if self._starts:
            self.ask(MANAGER, Cold())
        else:
            self.say(MANAGER, Cold())
        self._starts += 1

    def step(self, window: int, letters: Iterable[Letter]) -> list[Letter]:
        """Read, act, ask again; return what is said."""
        self.window = window
        for letter in letters:
            self._read(letter)
        self.act()
        for item in self._pending.values():
            if item.again <= window:
                item.again = window + RETRY_WINDOWS
                self.say(item.to, item.ask)
        for to, items in self._bundles.items():
            self._put(to, bundle(items))
        self._bundles = {}
        said, self._outbox = self._outbox, []
        return said

    def waits(self) -> bool:
        """Return whether an answer is missing."""
        return bool(self._pending)

    def say(self, to: str, body: Any) -> None:
        """Say something; what is said of keys leaves together, at the end of the step."""
        if isinstance(body, Item):
            self._bundles.setdefault(to, []).append(body)
        else:
            self._put(to, body)

    def ask(self, to: str, what: Any, context: Any = None) -> None:
        """Say something that must be answered; the context comes back with the answer."""
        self._asked += 1
        ask, again = Ask(self._asked, what), self.window + RETRY_WINDOWS
        self._pending[self._asked] = _Pending(to, ask, context, again, self.window)
        self.say(to, ask)

    def unanswered(self) -> dict[str, int]:
        """Return who owes answers, and since when."""
        found: dict[str, int] = {}
        for item in self._pending.values():
            found[item.to] = min(item.since, found.get(item.to, item.since))
        return found

    def note(self, what: str, *fields: Any, **named: Any) -> None:
        """Write down what happens now."""
        self.events.append(Event(self.window, what, *fields, **named))

    def act(self) -> None:
        """Do what is due."""

    def tell(self, what: Any) -> Any:
        """Return what is asked about; None if it is an order."""

    def obey(self, sender: str, what: Any) -> bool:
        """Carry out an order; return False if it is refused."""
        raise NotImplementedError

    def answered(self, sender: str, context: Any, reply: Reply) -> None:
        """Take an answer."""

    def hear(self, letter: Letter) -> None:
        """Take what needs no answer."""

    def _put(self, to: str, body: Any) -> None:
        self._said += 1
        self._outbox.append(Letter(self.name, to, self._said, body))

    def _read(self, letter: Letter) -> None:
        match letter.body:
            case Ask() as ask:
                self.on_ask(letter.sender, ask)
            case Reply() as reply:
                item = self._pending.get(reply.number)
                if item is not None and item.to == letter.sender:
                    del self._pending[reply.number]
                    self.answered(letter.sender, item.context, reply)
            case Bundle() as said:
                for item in said.items:
                    self.hear(replace(letter, body=item))

    def on_ask(self, sender: str, ask: Ask) -> None:
        """Answer; an order only after it has been carried out, and that once."""
        content = self.tell(ask.what)
        if content is not None:
            self.say(sender, Reply(ask.number, True, content))
            return
        if (sender, ask.number) not in self._answered:
            self._answered[sender, ask.number] = self.obey(sender, ask.what)
        self.say(sender, Reply(ask.number, self._answered[sender, ask.number]))
