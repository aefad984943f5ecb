"""What SAEs got, held against the journals: no key twice, none to a stranger, the same at both ends.

A key is given once to the SAE that asked for it, and once to each SAE that this one named, with the same
content.  A copy whose answer may have been lost is taken back before it is given again.  A copy that nobody
has taken is no mistake.  A run that was cut off may lack what one end noted; what must never be is looked
for all the same.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from emulator.results import journal_queries
from emulator.results.journal_queries import SaeFact
from emulator.store import journals
from protos.core import KEY_MANAGER_PREFIX
from protos.facts import FactKind, Holder, KeyCall

_MOST_TOLD = 3


@dataclass
class _Books:
    """Who may have which key, what it is, and how often it was given to whom."""

    master: dict[str, str] = field(default_factory=dict)
    slaves: dict[str, tuple[str, ...]] = field(default_factory=dict)
    content: dict[str, bytes] = field(default_factory=dict)
    copies: Counter[tuple[str, str]] = field(default_factory=Counter)
    taken: list[SaeFact] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)

    def read(self, facts: Iterable[SaeFact]) -> None:
        """Book the facts of one key manager, in their order: a call, then the keys that it gave."""
        call: KeyCall | None = None
        for fact in facts:
            if isinstance(fact.details, KeyCall):
                call = fact.details
            elif fact.end == "target":
                self._book_copy(fact)
            elif call is not None:
                self._book_key(fact, call)

    def _book_key(self, fact: SaeFact, call: KeyCall) -> None:
        if fact.key_id in self.content:
            self.wrong.append(f"key {fact.key_id} was given twice to who asked for keys")
        self.master[fact.key_id], self.slaves[fact.key_id] = call.master, call.slaves
        self.content[fact.key_id] = fact.fingerprint

    def _book_copy(self, fact: SaeFact) -> None:
        sae = fact.details.sae if isinstance(fact.details, Holder) else ""
        self.copies[fact.key_id, sae] += 1 if fact.kind is FactKind.GIVEN else -1
        if self.copies[fact.key_id, sae] not in (0, 1):
            self.wrong.append(f"key {fact.key_id} was given twice to {sae}")
        self.taken.append(fact)

    def problems(self) -> list[str]:
        """Return what is wrong."""
        for fact in self.taken:
            sae = fact.details.sae if isinstance(fact.details, Holder) else ""
            if sae not in self.slaves.get(fact.key_id, ()):
                self.wrong.append(f"key {fact.key_id} was given to {sae}, who was not named")
            elif self.content[fact.key_id] != fact.fingerprint:
                self.wrong.append(f"key {fact.key_id} is another for {sae} than for who asked")
        return self.wrong[:_MOST_TOLD]


def problems(folder: Path) -> list[str]:
    """Return what is wrong with the keys of SAEs, a line each."""
    books = _Books()
    for entity in journals.entities(folder):
        if entity.startswith(KEY_MANAGER_PREFIX):
            books.read(journal_queries.sae_facts(folder, entity))
    return books.problems()
