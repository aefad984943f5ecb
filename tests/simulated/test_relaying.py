"""Keys over two to five nodes whose messages come late, twice, in disorder or not at all, and who crash.

Whatever happens, no key is delivered twice or with another content, and no store holds too much; and
when messages come as they should again, both ends of every request hold and have delivered the same.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from hashlib import shake_128
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from network import SimulatedNetwork

from controllers.key_delivery import Application
from controllers.key_manager import KeyManagerConfig, LocalKeyManager
from controllers.key_relay import RelayState, Stage
from controllers.key_store import key_name
from controllers.ports import ChannelId, LinkSample
from emulator.results.audit import audit
from protos.core import FIBER_CONTROLLER, UAV_CONTROLLER, Message, Timeline
from protos.facts import FactKind, Shares
from protos.key_changes import KeysHeld
from protos.keys import KeyBundle, Relay
from protos.mib import ChannelRow, DeliveryRow, Row
from protos.pdu import Pdu, Verb
from protos.rows import encode
from protos.syntax import MediumCode, RowStatus, TruthValue

KEY_BITS, UNITS, PERIOD_S, PERIODS = 64, 3, 16, 1_000
RETRY_S = 3.0
FATES = ((1,), (2,), (4,), (1, 2), (1, 5), ())


class _World:
    """Fibers that carry few or all keys of an epoch, and applications whose needs go up and down."""

    def __init__(self, carried: Sequence[int] = (UNITS,)) -> None:
        self._carried = carried

    def carried_units(self, a: str, b: str, epoch: int) -> int:
        """How many keys of each request a fiber of the chain can carry in an epoch."""
        return self._carried[(min(int(a), int(b)) + epoch) % len(self._carried)]

    def sample(
        self, _medium: MediumCode, a: str, b: str, now_s: float, _since_s: float | None = None
    ) -> LinkSample:
        units = self.carried_units(a, b, int(now_s) // PERIOD_S)
        wavelength_bytes = -(-units * KEY_BITS // 8 // UNITS)
        return LinkSample(8.0 * wavelength_bytes / PERIOD_S, 0.0)

    def errors(
        self, channels: Sequence[ChannelId], _serial: int, _sifted_bits: Sequence[int], _qber: float
    ) -> list[int]:
        return [0] * len(channels)

    def knows(self, _node: str) -> bool:
        return True

    def block(self, channel: ChannelId, serial: int, n_bytes: int) -> bytes:
        return shake_128(f"{channel}#{serial}".encode()).digest(n_bytes)

    def blocks(
        self, channels: Sequence[ChannelId], serial: int, n_bytes: Sequence[int]
    ) -> list[bytes]:
        return [
            self.block(channel, serial, size)
            for channel, size in zip(channels, n_bytes, strict=True)
        ]

    def fresh(self, node: str, request: int, serial: int, n_bytes: int) -> bytes:
        return shake_128(f"{node}/{request}/{serial}".encode()).digest(n_bytes)

    def demanded_units(self, request: int, period: int) -> int:
        return (request + period) % (UNITS + 2)


def _set(source: str, destination: str, number: int, *rows: Row) -> Message:
    binds = tuple(bind for row in rows for bind in encode(row))
    return Message(source, destination, number, Pdu(Verb.SET, number, binds))


class Chain(SimulatedNetwork):
    """Nodes 0 .. n-1 in a row; request 0 goes from the first to the last, request 1 back."""

    def __init__(
        self, nodes: int, lifetime_s: float | None = None, carried: Sequence[int] = (UNITS,)
    ) -> None:
        self.world = _World(carried)
        names = [str(place) for place in range(nodes)]
        self.paths = {0: names, 1: names[::-1]}
        self.ends = {request: (path[0], path[-1]) for request, path in self.paths.items()}
        self.fates: list[Sequence[int]] = []
        self.orders = 0
        timeline = Timeline(2.0 * PERIOD_S + nodes + 1, PERIOD_S, PERIODS)
        cores = {}
        for name in names:
            applications = tuple(
                Application(request, f"r{request}", "any", target)
                for request, (source, target) in self.ends.items()
                if source == name
            )
            config = KeyManagerConfig(
                node=name,
                neighbours=frozenset(names) - {name},
                reported=frozenset(),
                applications=applications,
                timeline=timeline,
                unit_bits=KEY_BITS,
                qber_limit=0.11,
                retry_after_s=RETRY_S,
                lifetime_s=lifetime_s,
            )
            cores[f"kme-{name}"] = LocalKeyManager(config, self.world)
        super().__init__(dict(cores), 1.0)
        for request, path in self.paths.items():
            for up, node, down in zip(["", *path], path, [*path[1:], ""], strict=False):
                peer = self.peer_of(request, node)
                row = ChannelRow(request, up, down, peer, UNITS, 0, PERIOD_S * 1000, 16_000, 4)
                self.tell(node, FIBER_CONTROLLER, request + 1, row, 1)
        for name in self.cores:
            self.checkpoint(name)

    def peer_of(self, request: int, node: str) -> str:
        source, target = self.ends[request]
        return {source: target, target: source}.get(node, "")

    def tell(self, node: str, source: str, number: int, row: Row, delay: int) -> None:
        """Have a controller configure a node, so many windows from now."""
        self.put(delay, _set(source, f"kme-{node}", number, row))

    def fate(self, message: Message) -> Sequence[int]:
        if message.destination not in self.cores:
            return ()
        return self.fates.pop() if self.fates else (1,)

    def advance(self) -> None:
        self.run_window(self.window + 1)

    def held(self, request: int, node: str, medium: MediumCode) -> set[str]:
        return {
            key.id
            for change in self.cores[f"kme-{node}"].key_changes()
            if isinstance(change, KeysHeld) and (change.request, change.medium) == (request, medium)
            for key in change.keys
        }

    def bring(self, request: int, delays: tuple[int, int]) -> None:
        """Have a UAV bring two keys to both ends, some windows apart, for the period under way."""
        self.orders += 1
        period = max(0, (self.window - 2 * PERIOD_S) // PERIOD_S)
        source, target = self.ends[request]
        for node, delay in zip((source, target), delays, strict=True):
            is_source, peer = TruthValue.of(node == source), self.peer_of(request, node)
            row = DeliveryRow(
                self.orders,
                request,
                period,
                MediumCode.UAV,
                peer,
                is_source,
                2,
                RowStatus.CREATE_AND_GO,
            )
            self.tell(node, UAV_CONTROLLER, self.orders, row, delay)

    def calm_down(self) -> None:
        """Let messages come as they should until every old epoch is over, and stop between two."""
        self.fates = []
        for _ in range(3 * PERIOD_S - self.window % PERIOD_S + PERIOD_S - 2):
            self.advance()

    def arrived_units(self, request: int, epoch: int) -> int:
        """How many keys of an epoch were made at the target."""
        return self._noted_units(request, epoch, FactKind.CREATED, "target")

    def check_latest(self) -> None:
        """As many keys of the epoch under way must have arrived as all hops can carry, no more."""
        epoch = self.window // PERIOD_S
        for request, path in self.paths.items():
            made_units = self._noted_units(request, epoch, FactKind.CREATED, "source")
            hops = [self.world.carried_units(a, b, epoch) for a, b in pairwise(path)]
            assert self.arrived_units(request, epoch) == min(made_units, *hops)

    def _noted_units(self, request: int, epoch: int, kind: FactKind, end: str) -> int:
        return sum(
            fact.units
            for fact in self.all_facts()
            if (fact.request, fact.serial, fact.kind, fact.end) == (request, epoch, kind, end)
        )

    def check(self) -> None:
        """Both ends must agree now, and every bit must be accounted for."""
        for request, (source, target) in self.ends.items():
            assert not self.held(request, source, MediumCode.UAV)
            assert not self.held(request, target, MediumCode.UAV)
            here = self.held(request, source, MediumCode.FIBER)
            assert here == self.held(request, target, MediumCode.FIBER)
        self.close()
        with tempfile.TemporaryDirectory() as folder:
            self.write_journals(Path(folder) / "run")
            result = audit(Path(folder) / "run")
        assert result.ok, result.fields()


class RelayMachine(RuleBasedStateMachine):
    """A chain at the mercy of hypothesis."""

    chain: Chain

    @initialize(
        nodes=st.integers(2, 5),
        lifetime_s=st.sampled_from([None, 24.0]),
        carried=st.lists(st.integers(0, UNITS), min_size=1, max_size=4),
    )
    def begin(self, nodes: int, lifetime_s: float | None, carried: list[int]) -> None:
        self.chain = Chain(nodes, lifetime_s, carried)

    @rule(windows=st.integers(1, 12), fates=st.lists(st.sampled_from(FATES), max_size=12))
    def advance(self, windows: int, fates: list[tuple[int, ...]]) -> None:
        self.chain.fates = list(fates)
        for _ in range(windows):
            self.chain.advance()

    @rule(windows=st.integers(1, 2 * PERIOD_S))
    def lose_everything(self, windows: int) -> None:
        for _ in range(windows):
            self.chain.fates = [()] * 100
            self.chain.advance()

    @rule(request=st.integers(0, 1), delays=st.tuples(st.integers(1, 9), st.integers(1, 9)))
    def bring(self, request: int, delays: tuple[int, int]) -> None:
        self.chain.bring(request, delays)

    @rule(data=st.data())
    def checkpoint(self, data: st.DataObject) -> None:
        self.chain.checkpoint(data.draw(st.sampled_from(sorted(self.chain.cores))))

    @rule(data=st.data())
    def crash(self, data: st.DataObject) -> None:
        self.chain.crash(data.draw(st.sampled_from(sorted(self.chain.cores))))

    @invariant()
    def sources_hold_no_more_than_is_reserved(self) -> None:
        for request, (source, _) in self.chain.ends.items():
            assert len(self.chain.held(request, source, MediumCode.FIBER)) <= UNITS

    @invariant()
    def nothing_is_refused_that_was_promised(self) -> None:
        refused = [f for f in self.chain.all_facts() if f.text == "no such key here"]
        assert not refused

    def teardown(self) -> None:
        self.chain.calm_down()
        self.chain.check_latest()
        self.chain.check()


TestRelaying = RelayMachine.TestCase
TestRelaying.settings = settings(max_examples=25, stateful_step_count=25)


def _relayed(chain: Chain) -> list[tuple[str, int]]:
    """Return the relays that were sent, told apart by who and in which epoch, and their units."""
    return [
        (f"{m.source}>{m.destination} {item.request} {item.epoch}", item.units)
        for m in chain.sent
        if isinstance(m.body, KeyBundle)
        for item in m.body.items
        if isinstance(item, Relay)
    ]


def _facts(chain: Chain, kind: FactKind, end: str) -> list[tuple[int, int]]:
    return sorted(
        (fact.request, fact.units)
        for fact in chain.all_facts()
        if (fact.kind, fact.end) == (kind, end)
    )


def test_a_relay_that_is_lost_is_said_again_and_uses_no_more_of_any_pad() -> None:
    chain = Chain(4)
    while not _relayed(chain):
        chain.fates = [()] * 9
        chain.advance()
    for fates in ([], [], [], [()] * 9, [], [], [], [], [], []):
        chain.fates = list(fates)
        chain.advance()
    assert len(chain.held(0, "0", MediumCode.FIBER)) == UNITS
    used = [
        bits
        for fact in chain.all_facts()
        if fact.kind is FactKind.RELAYED and isinstance(fact.details, Shares)
        for bits in fact.details.bits
    ]
    assert used == [UNITS * KEY_BITS] * 2 * 3 * 2  # both ends of three hops, both directions
    chain.calm_down()
    chain.check()


def test_of_keys_that_a_later_hop_cannot_carry_the_first_arrive_and_the_rest_is_void() -> None:
    chain = Chain(4, carried=(2, UNITS, 1))
    while chain.window < 2 * PERIOD_S - 2:
        chain.advance()
    assert [chain.world.carried_units(*hop, 1) for hop in ("01", "12", "23")] == [UNITS, 1, 2]
    chain.check_latest()
    for node in "03":
        assert chain.held(0, node, MediumCode.FIBER) == {key_name(0, MediumCode.FIBER, 1, 0)}
    assert _facts(chain, FactKind.DESTROYED, "source") == [(0, 2), (1, 1)]
    assert not _facts(chain, FactKind.DESTROYED, "target")
    chain.check()


def test_a_later_hop_without_key_voids_an_epoch_at_once_and_nobody_asks_again() -> None:
    chain = Chain(3, carried=(UNITS, 0))
    while 0 not in [units for _, units in _relayed(chain)]:
        chain.advance()
    chain.calm_down()
    said = _relayed(chain)
    assert len(said) == len(set(said))
    assert not [fact for fact in chain.all_facts() if fact.kind is FactKind.REJECTED]
    chain.check()


def test_keys_that_nobody_used_are_destroyed_at_both_ends_when_their_time_is_over() -> None:
    chain = Chain(3, lifetime_s=10.0)
    while chain.window < 2 * PERIOD_S - 2:
        chain.advance()
    assert _facts(chain, FactKind.CREATED, "source") == [(0, UNITS), (1, UNITS)]
    for end in ("source", "target"):
        assert _facts(chain, FactKind.DESTROYED, end) == [(0, UNITS), (1, UNITS)]
    assert not chain.held(0, "0", MediumCode.FIBER) | chain.held(0, "2", MediumCode.FIBER)
    chain.check()


def test_what_crosses_a_node_goes_one_way_only() -> None:
    crossing = RelayState(4)
    onward = Relay(0, 4, 1, b"ciphertext")
    with pytest.raises(ValueError, match="RESERVED cannot be CONFIRMED"):
        crossing.confirm()
    crossing.forward("kme-B", onward)
    assert crossing.onward == ("kme-B", onward)
    with pytest.raises(ValueError, match="FORWARDED cannot be FORWARDED"):
        crossing.forward("kme-B", onward)
    crossing.confirm()
    crossing.release()
    assert (crossing.stage, crossing.onward) == (Stage.RELEASED, None)
    with pytest.raises(ValueError, match="RELEASED cannot be FORWARDED"):
        crossing.forward("kme-B", onward)
