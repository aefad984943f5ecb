"""Where actors go in a cluster, at which addresses they listen, and which clusters are refused."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from emulator.net.transport import Endpoint, NoFreePortError
from emulator.runtime import cluster
from emulator.runtime.cluster import (
    JoinError,
    Machine,
    Placement,
    Survey,
    check,
    place,
    probe,
    survey,
    versions,
)

HERE, EAST, THIRD = (
    Machine("1", "10.0.0.1", 2),
    Machine("2", "10.0.0.2", 4, domain="east"),
    Machine("3", "10.0.0.3", 2),
)


def _count(placement: Placement, machines: list[Machine], actors: int = 5) -> list[int]:
    homes = place(placement, dict.fromkeys(map(str, range(actors)), ""), machines)
    counts = Counter(machine.key for machine in homes.values())
    return [counts[machine.key] for machine in machines]


def test_spread_deals_actors_to_machines_in_turn() -> None:
    assert _count(Placement.SPREAD, [HERE, EAST, THIRD]) == [2, 2, 1]


def test_pack_fills_a_machine_before_it_takes_the_next_and_seats_everybody() -> None:
    assert _count(Placement.PACK, [HERE, EAST, THIRD]) == [2, 3, 0]
    assert _count(Placement.PACK, [HERE, EAST, THIRD], 20) == [6, 12, 2]


def test_domains_stay_together_where_their_label_is_and_the_rest_where_the_run_was_started() -> (
    None
):
    seats = {"clock": "", "a": "east", "b": "west", "c": "east", "d": "north", "e": "west"}
    homes = {
        name: machine.key
        for name, machine in place(Placement.DOMAINS, seats, [HERE, EAST, THIRD]).items()
    }
    assert (homes["a"], homes["c"], homes["clock"]) == ("2", "2", "1")
    assert homes["b"] == homes["e"] != homes["d"]
    assert {homes["b"], homes["d"]} == {"1", "3"}
    labelled = place(Placement.DOMAINS, seats, [EAST])
    assert {machine.key for machine in labelled.values()} == {"2"}


def test_an_actor_takes_its_former_port_or_else_any_that_is_free_in_the_range() -> None:
    endpoint, taken = Endpoint("10.0.0.1", range(20000, 20003)), set[int]()

    def listen(host: str, port: int) -> int:
        if port in taken or host != "10.0.0.1":
            raise OSError
        taken.add(port)
        return port

    assert endpoint.bind("a", "10.0.0.1:20001", listen) == "10.0.0.1:20001"
    endpoint.bind("b", "10.0.0.1:20001", listen)
    endpoint.bind("c", "10.0.0.2:20001", listen)  # it has moved to another machine
    assert taken == {20000, 20001, 20002}
    with pytest.raises(NoFreePortError, match="no port from 20000 to 20002 is free at"):
        endpoint.bind("d", "", listen)


def test_an_actor_listens_where_its_machine_is_known_unless_it_keeps_to_loopback() -> None:
    assert Endpoint("").at("10.0.0.2").host == "10.0.0.2"
    assert Endpoint().at("10.0.0.2").host == "127.0.0.1"


def _problem(folder: Path, change: object) -> str:
    with probe(folder) as look:
        found = replace(survey(look), is_authenticated=True)
        given = replace(found, **change)  # type: ignore[arg-type]
        with pytest.raises(JoinError) as caught:
            check("10.0.0.2", look, given, trusts_network=False)
    return str(caught.value)


def test_a_machine_like_this_one_that_sees_the_folder_may_join(tmp_path: Path) -> None:
    with probe(tmp_path) as look:
        found = replace(survey(look), is_authenticated=True)
        check("10.0.0.2", look, found, trusts_network=False)
    assert list(tmp_path.iterdir()) == []


def test_other_versions_are_told_by_name_on_both_sides(tmp_path: Path) -> None:
    other = tuple((name, "9.9" if name in ("ray", "python") else text) for name, text in versions())
    problem = _problem(tmp_path, {"versions": other})
    ours = dict(versions())
    assert problem == (
        f"10.0.0.2 has python 9.9, ray 9.9, but here is python {ours['python']}, ray {ours['ray']}; "
        "install the same everywhere"
    )


def test_the_same_version_made_of_other_source_is_another(monkeypatch: pytest.MonkeyPatch) -> None:
    before = dict(versions.__wrapped__())["qsagin"]
    monkeypatch.setattr(cluster, "_SOURCES", ("protos",))
    assert dict(versions.__wrapped__())["qsagin"] != before


def test_a_folder_that_is_not_the_same_everywhere_is_refused(tmp_path: Path) -> None:
    assert f"does not see {tmp_path}" in _problem(tmp_path, {"token": ""})
    assert "but not its file locks" in _problem(tmp_path, {"is_locked": False})


def test_a_cluster_that_wants_no_token_is_refused_unless_its_network_is_trusted(
    tmp_path: Path,
) -> None:
    assert "takes orders from anybody" in _problem(tmp_path, {"is_authenticated": False})
    with probe(tmp_path) as look:
        check("10.0.0.2", look, survey(look), trusts_network=True)


def test_a_machine_on_which_nothing_is_mounted_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    assert survey(tmp_path / "elsewhere") == Survey(versions(), "", False, is_authenticated=True)


def test_a_lock_that_nobody_holds_is_seen_to_be_free(tmp_path: Path) -> None:
    (tmp_path / "token").write_text(tmp_path.name)
    assert not survey(tmp_path).is_locked
