"""What became of links in a run, as the journals say."""

from __future__ import annotations

from pathlib import Path

from emulator.build.assembly import Assembly
from emulator.results.links import alarms, with_blocks
from emulator.store.journal import FOLDER, Journal
from protos.core import FIBER_CONTROLLER
from protos.facts import Fact, FactKind, LinkCondition, LinkState, Shares


def test_blocks_are_counted_at_one_end_and_alarms_last_until_the_link_is_up(
    tiny_assembly: Assembly, tmp_path: Path
) -> None:
    (tmp_path / FOLDER).mkdir()
    for node, peer in (("A", "B"), ("B", "A")):
        me = f"kme-{node}"
        book = Journal(tmp_path, me, [me])
        measured = Shares((0, 1), (256, 0), (0.03, 0.17), discarded=(1,))
        found = (measured, Shares((0,), (0,), (0.175,), discarded=(0,)), Shares((0,), (256,)))
        made = [Fact(FactKind.GENERATED, medium="fiber", peer=peer, details=it) for it in found]
        book.commit(1, {me: made})
        book.close()
    book = Journal(tmp_path, FIBER_CONTROLLER, [FIBER_CONTROLLER])
    noise, loss, up = LinkCondition.NOISE, LinkCondition.LOSS, LinkCondition.UP
    for window, condition in ((3, noise), (5, loss), (9, up), (11, loss)):
        fact = Fact(FactKind.LINK, details=LinkState(("A", "B"), condition, 0.15))
        book.commit(window, {FIBER_CONTROLLER: [fact]})
    book.close()
    first, second = with_blocks(tmp_path, tiny_assembly.links)
    assert (first["blocks"], first["discarded_blocks"], first["measured_qber"]) == (3, 2, 0.125)
    assert (second["blocks"], second["discarded_blocks"], second["measured_qber"]) == (0, 0, None)
    found = [(item["cause"], item["raised_s"], item["cleared_s"]) for item in alarms(tmp_path, 2.0)]
    assert found == [("qber 0.1500", 6, 10), ("no signal", 10, 18), ("no signal", 22, None)]


def test_a_run_without_journals_has_no_history(tiny_assembly: Assembly, tmp_path: Path) -> None:
    assert [row["blocks"] for row in with_blocks(tmp_path, tiny_assembly.links)] == [0, 0]
    assert alarms(tmp_path, 1.0) == []
