"""Key managers that lie: nobody is ended by it, and whose keys they are not lose none."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from network import SimulatedNetwork

from emulator.build.assembly import assemble
from emulator.build.loading import read
from emulator.build.manager_role import actors_of
from emulator.results.audit import audit
from protos.core import Message
from protos.facts import FactKind
from protos.keys import Confirm, Delivered, Discard, KeyBundle
from protos.syntax import MediumCode

small = st.integers(0, 4)
media = st.sampled_from([MediumCode.FIBER, MediumCode.UAV])
lies = st.one_of(
    st.builds(Confirm, small, media, small, small, st.binary(min_size=16, max_size=16)),
    st.builds(Discard, small, media, small, small),
    st.builds(Delivered, small, media, small, st.just(()), small),
)


def _network() -> SimulatedNetwork:
    setup = read("tiny")
    roles = actors_of(setup.experiment, assemble(setup)).everybody
    return SimulatedNetwork({role.entity: role.build() for role in roles}, 1.0)


def _keys_of(network: SimulatedNetwork) -> tuple[str, ...]:
    facts = (fact for fact in network.all_facts() if fact.kind is FactKind.DELIVERED)
    return tuple(name for fact in facts for name in fact.key_id.split())


@pytest.mark.parametrize("liar", ["stranger", "uav-controller", "kme-A", "kme-B", "kme-C"])
@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(told=st.lists(st.tuples(st.sampled_from(["kme-A", "kme-B", "kme-C"]), lies), max_size=8))
def test_nobody_is_ended_by_lies_and_third_parties_cost_nobody_a_key(
    tmp_path_factory: pytest.TempPathFactory,
    liar: str,
    told: list[tuple[str, Confirm | Discard | Delivered]],
) -> None:
    network = _network()
    network.run(70)
    known = _keys_of(network)
    for place, (victim, lie) in enumerate(told):
        body = lie._replace(key_ids=known) if isinstance(lie, Delivered) else lie
        message = Message(liar, victim, 10**6 + place, KeyBundle((body,)))
        network.put(1, message)
    network.run(330)
    network.close()
    if not liar.startswith("kme-"):
        folder: Path = tmp_path_factory.mktemp("lies") / "run"
        network.write_journals(folder)
        assert audit(folder).ok
