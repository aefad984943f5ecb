"""Keys for applications outside the network: what SAEs ask of the key manager at their node.

An SAE (ETSI GS QKD 014) that asks for keys draws on the request between its node and that of its peer.
All the keys that it wants are there, or it gets none, and what is missing is bought
(`controllers.key_delivery`).  They are *assigned*: this end gives them to the SAE at once, the other end
*holds* a copy for each SAE that was named, and gives it to that SAE once, and to nobody else.  Where SAEs
of several nodes are named, the others are sent the same keys under one-time pads, which are keys of their
own requests.  SAEs of one node need no network: their keys are random numbers of the node.

A copy may be asked for in the window in which the other end gives the key, and of which this end hears in
the next; so who asks for an unknown key is answered one window later.  A copy that was given is *unsure*
until its answer is known to have left.  If the node is told that an answer may have been lost, it holds the
copy again.  A call that was heard is never heard again.
Nothing here knows transport, certificates, or how long a call waits.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import ceil
from uuid import UUID

from controllers.key_delivery import KeyDelivery, Shortage
from controllers.ports import RandomSource
from controllers.reliable_delivery import Acknowledgements
from protos.access import (
    Answer,
    AnswersSent,
    AnswersUnsure,
    Asked,
    GetKey,
    GetKeyWithIds,
    NamedKey,
    Outcome,
)
from protos.core import Effects, Stock, key_manager_of
from protos.facts import Fact, FactKind, Holder, KeyCall, Reason
from protos.key_changes import Key, tag
from protos.keys import Assigned

MOST_HELD_KEYS = 100_000
"""The copies that a node holds at most; the oldest go first."""
LOCAL = -1
"""The request of keys that need no network."""
MOST_KEY_UNITS = 16
"""The units that a key is made of at most."""
MOST_USES = 10_000
"""The pairs of SAEs that a node remembers; those that asked first go first."""


@dataclass(frozen=True)
class NodeAccess:
    """What a node is told of SAEs.

    `saes` are all, with their nodes; `requests` those between this node and the nodes of their peers, and
    `incoming` the requests whose target this node is.  `asked` are calls of a former run, in the order in
    which they were answered, to be answered again.
    """

    saes: Mapping[str, str] = field(default_factory=dict)
    requests: Mapping[str, int] = field(default_factory=dict)
    incoming: frozenset[int] = frozenset()
    asked: tuple[Asked, ...] = ()

    @property
    def external(self) -> frozenset[int]:
        """The requests at whose keys this node has SAEs at one end."""
        return self.incoming | frozenset(self.requests.values())


NO_ACCESS = NodeAccess()


@dataclass
class _Held:
    """A key, who has asked for it, who is still to get it, and who got it in which call of unsure end."""

    material: bytes = field(repr=False)
    master: str
    named: frozenset[str]
    waiting: set[str]
    given: dict[str, int] = field(default_factory=dict)


@dataclass
class Use:
    """What SAEs have taken together at this node, since when, and in which period last."""

    remote: str
    requests: tuple[int, ...]
    since_s: float
    period: int
    bits: int = 0


class KeyAccess:
    """See the module.  Keys are made of units of `unit_bits`."""

    def __init__(
        self,
        node: str,
        unit_bits: int,
        access: NodeAccess,
        *,
        random: RandomSource,
        effects: Effects,
        delivery: KeyDelivery,
        acknowledgements: Acknowledgements,
    ) -> None:
        self._node, self._unit_bits, self._access = node, unit_bits, access
        self._random, self._effects = random, effects
        self._delivery, self._acknowledgements = delivery, acknowledgements
        self._repeated = 0  # of the calls of a former run
        self._waiting: list[Asked] = []
        self._early: list[Asked] = []  # ask for what may be under way
        self._held: dict[str, _Held] = {}
        self._local_serial = 0
        self._now_s = 0.0
        self.uses: dict[tuple[str, tuple[str, ...]], Use] = {}  # by who asks first, and all others
        self.last_call = max((item.number for item in access.asked), default=0)

    @property
    def wake_s(self) -> float | None:
        """When the next call is to be answered."""
        ahead = [*self._access.asked[self._repeated :][:1], *self._waiting[:1], *self._early[:1]]
        return min((item.at_s for item in ahead), default=None)

    @property
    def is_used(self) -> bool:
        """Whether there are SAEs at this node."""
        return self._node in self._access.saes.values()

    @property
    def is_unsure(self) -> bool:
        """Whether a copy was given in an answer that is not known to have left."""
        return any(item.given for item in self._held.values())

    @property
    def held_keys(self) -> int:
        """How many keys wait here for SAEs."""
        return sum(bool(item.waiting) for item in self._held.values())

    def hear(self, asked: Sequence[Asked]) -> None:
        """Learn of calls that are not known yet."""
        for item in asked:
            if item.number > self.last_call:
                insort(self._waiting, item, key=_order)
        self.last_call = max((self.last_call, *(item.number for item in asked)))

    def answer(self, now_s: float) -> list[tuple[int, Shortage]]:
        """Answer the calls that are due; return what is newly missing, by request."""
        self._now_s = now_s
        news: list[tuple[int, Shortage]] = []
        early, self._early = self._early, []
        for item in (*early, *self._due(now_s)):
            match item.call:
                case GetKey() as call:
                    news += self._get_key(item.number, call)
                case GetKeyWithIds(key_ids=names) if item not in early and self._lacks(names):
                    self._early.append(item)
                case GetKeyWithIds() as call:
                    self._get_key_with_ids(item.number, call)
                case AnswersSent(calls):
                    self._settle(calls)
                case AnswersUnsure(calls):
                    self._take_back(calls)
        return news

    def on_assigned(self, source: str, body: Assigned) -> None:
        """Hold keys for SAEs of this node."""
        units = [self._delivery.take_arrived(source, unit_id) for unit_id in body.unit_ids]
        material = _joined([unit for unit in units if unit is not None])
        whole = len(units) * self._unit_bits // 8
        is_sound = body.names and len(body.names) <= len(units) and len(body.pad) in (0, whole)
        if not is_sound or len(units) % len(body.names) or len(material) != whole:
            why = Reason("assigns keys that are not here")
            self._effects.note(Fact(FactKind.REJECTED, body.request, peer=source, details=why))
            return
        if body.pad:
            material = _xor(material, body.pad)
        size = whole // len(body.names)
        for index, name in enumerate(body.names):
            key = material[index * size :][: body.key_bits // 8]
            self._hold(name, key, body.master, body.slaves)

    def stock(self, target: str) -> Stock | None:
        """Return what could be given for SAEs of a node; None if nothing is provisioned to there."""
        if target == self._node:
            return Stock(MOST_HELD_KEYS, MOST_HELD_KEYS)
        request = self._access.requests.get(target)
        return None if request is None else self._delivery.stock(request)

    def _due(self, now_s: float) -> list[Asked]:
        due: list[Asked] = []
        while self._repeated < len(self._access.asked):
            item = self._access.asked[self._repeated]
            if item.at_s > now_s:
                break
            self._repeated += 1
            due.append(item)
        while self._waiting and self._waiting[0].at_s <= now_s:
            due.append(self._waiting.pop(0))
        return sorted(due, key=_order)

    def _get_key(self, number: int, call: GetKey) -> Iterator[tuple[int, Shortage]]:
        """Give keys to their master, and have them held for all others; yield what is missing."""
        units = call.keys * ceil(call.key_bits / self._unit_bits)
        nodes = dict.fromkeys(self._access.saes.get(sae, "") for sae in call.slaves)
        nodes.pop(self._node, None)
        requests = {node: self._access.requests.get(node) for node in nodes}
        found = {node: request for node, request in requests.items() if request is not None}
        if len(found) < len(requests):
            self._effects.answer(Answer(number, Outcome.NO_REQUEST))
            return
        for request in found.values():
            missing = self._delivery.ask(request, units)
            if missing is not None:
                yield request, missing
        is_there = all(self._delivery.unclaimed_units(item) >= units for item in found.values())
        self._note_call(call, next(iter(found.values()), LOCAL), units, is_there)
        self._use(
            call.master,
            call.slaves,
            next(iter(found), self._node),
            tuple(found.values()),
            call.keys * call.key_bits if is_there else 0,
        )
        if not is_there:
            self._effects.answer(Answer(number, Outcome.SHORT))
            return
        keys = self._keys(call, found, units)
        self._effects.answer(Answer(number, Outcome.GIVEN, keys))
        for key in keys:
            self._note(FactKind.GIVEN, "source", key, call.master)

    def _keys(self, call: GetKey, found: Mapping[str, int], units: int) -> tuple[NamedKey, ...]:
        """Return the keys of a call, after all nodes of slaves were told to hold them."""
        material, names = b"", tuple[str, ...]()
        for node, request in found.items():
            claimed = self._delivery.claim(request, units)
            mine = _joined(claimed)
            pad = _xor(material, mine) if material else b""
            material = material or mine
            names = names or tuple(key.id for key in claimed[:: units // call.keys])
            unit_ids = tuple(key.id for key in claimed)
            slaves = self._of(node, call.slaves)
            assigned = Assigned(request, call.master, slaves, call.key_bits, names, unit_ids, pad)
            self._acknowledgements.tell(key_manager_of(node), assigned)
        if not found:
            material, names = self._local(call.keys, units)
        size = len(material) // call.keys
        keys = [
            NamedKey(name, material[index * size :][: call.key_bits // 8])
            for index, name in enumerate(names)
        ]
        if here := self._of(self._node, call.slaves):
            for key in keys:
                self._hold(key.id, key.material, call.master, here)
        return tuple(keys)

    def _of(self, node: str, saes: Sequence[str]) -> tuple[str, ...]:
        return tuple(sae for sae in saes if self._access.saes.get(sae) == node)

    def _local(self, keys: int, units: int) -> tuple[bytes, tuple[str, ...]]:
        """Return random numbers of this node as units, and names for keys of them."""
        self._local_serial += 2
        size = units * self._unit_bits // 8
        material = self._random.fresh(self._node, LOCAL, self._local_serial, size)
        seed = self._random.fresh(self._node, LOCAL, self._local_serial + 1, 16 * keys)
        ids = (UUID(bytes=seed[16 * at :][:16], version=4) for at in range(keys))
        return material, tuple(map(str, ids))

    def _hold(self, name: str, material: bytes, master: str, slaves: Sequence[str]) -> None:
        held = self._held.get(name)
        if held is None:
            self._held[name] = _Held(material, master, frozenset(slaves), set(slaves))
        if len(self._held) > MOST_HELD_KEYS:
            oldest = next(iter(self._held))
            del self._held[oldest]
            why = Reason("held for too long: SAEs have not asked for it")
            self._effects.note(Fact(FactKind.REJECTED, key_id=oldest, details=why))

    def _lacks(self, names: Sequence[str]) -> bool:
        """Whether a key is not here, perhaps not yet: the other end may have given it in this window."""
        return any(name not in self._held for name in names)

    def _get_key_with_ids(self, number: int, call: GetKeyWithIds) -> None:
        """Give all copies that a slave asks for, or none."""
        found = {name: self._held.get(name) for name in call.key_ids}
        here = {name: held for name, held in found.items() if held is not None}
        if any(call.slave not in i.named or i.master != call.master for i in here.values()):
            self._effects.answer(Answer(number, Outcome.NOT_NAMED))
            return
        if len(here) < len(found) or any(call.slave not in i.waiting for i in here.values()):
            self._effects.answer(Answer(number, Outcome.UNKNOWN_KEY))
            return
        for held in here.values():
            held.waiting.discard(call.slave)
            held.given[call.slave] = number
        keys = tuple(NamedKey(name, here[name].material) for name in call.key_ids)
        for key in keys:
            self._note(FactKind.GIVEN, "target", key, call.slave)
        remote = self._access.saes.get(call.master, "")
        if remote != self._node:  # else it is known from the other end
            bits = sum(8 * len(key.material) for key in keys)
            self._use(call.master, (call.slave,), remote, (), bits)
        self._effects.answer(Answer(number, Outcome.GIVEN, keys))

    def _use(
        self,
        master: str,
        slaves: tuple[str, ...],
        remote: str,
        requests: tuple[int, ...],
        bits: int,
    ) -> None:
        """Remember who takes keys here, for whoever looks; nothing else depends on it."""
        period, users = self._delivery.period, (master, tuple(sorted(slaves)))
        use = self.uses.get(users)
        if use is None:
            use = self.uses[users] = Use(remote, requests, self._now_s, period)
            if len(self.uses) > MOST_USES:
                del self.uses[next(iter(self.uses))]
        use.period, use.bits = period, use.bits + bits

    def _settle(self, calls: Sequence[int]) -> None:
        """Burn the copies that are known to have left."""
        for name, held in list(self._held.items()):
            held.given = {sae: call for sae, call in held.given.items() if call not in calls}
            if not held.waiting and not held.given:
                del self._held[name]

    def _take_back(self, calls: Sequence[int]) -> None:
        """Hold the copies again that may never have left."""
        for name, held in self._held.items():
            for sae, call in list(held.given.items()):
                if not calls or call in calls:
                    del held.given[sae]
                    held.waiting.add(sae)
                    self._note(FactKind.UNSENT, "target", NamedKey(name, held.material), sae)

    def _note_call(self, call: GetKey, request: int, units: int, is_there: bool) -> None:
        details = KeyCall(call.master, call.slaves, call.keys, call.key_bits, is_there)
        bits = units * self._unit_bits
        period = self._delivery.period
        fact = Fact(FactKind.ASKED, request, period, units=units, bits=bits, details=details)
        self._effects.note(fact)

    def _note(self, kind: FactKind, end: str, key: NamedKey, sae: str) -> None:
        self._effects.note(
            Fact(
                kind,
                end=end,
                bits=8 * len(key.material),
                key_id=key.id,
                fingerprint=tag(key.material),
                details=Holder(sae),
            )
        )


def _order(item: Asked) -> tuple[float, int]:
    return item.at_s, item.number


def _joined(keys: Sequence[Key]) -> bytes:
    return b"".join(key.material for key in keys)


def _xor(one: bytes, other: bytes) -> bytes:
    """Return two texts of one length added bit by bit."""
    size = len(one)
    return (int.from_bytes(one) ^ int.from_bytes(other)).to_bytes(size)
