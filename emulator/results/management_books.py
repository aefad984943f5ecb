"""The books of management keys, by the entity that noted them and its peer.

What came into the store of a pair was withdrawn, key by key, or is left, and both ends agree.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable

from emulator.runtime.envelopes import KEY_BITS
from protos.core import KEY_MANAGER_PREFIX
from protos.facts import FactKind

Noted = tuple[str, str, int, int, int]
"""Kind, peer, serial, units and bits of a fact."""


class ManagementBooks:
    """Takes what entities noted about their stores of management keys, then adds it up."""

    def __init__(self) -> None:
        self._accounts: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
        self._rotations: set[tuple[str, str, int]] = set()
        self.repeated = 0

    def take(self, entity: str, noted: Iterable[Noted]) -> None:
        """Take what an entity noted about its stores."""
        for kind, peer, serial, units, bits in noted:
            account = self._accounts[entity, peer]
            if kind == FactKind.STORED:
                account["stored"] += bits
                continue
            self.repeated += (entity, peer, serial) in self._rotations
            self._rotations.add((entity, peer, serial))
            account.update(made=bits, used=KEY_BITS * units, overdue=int(not units))

    @property
    def unaccounted_bits(self) -> int:
        """What does not add up, or differs between the ends of a pair."""
        unaccounted = 0
        for (here, there), bits in self._accounts.items():
            unaccounted += abs(bits["made"] - bits["used"] - bits["stored"])
            other = self._accounts.get((there, here), Counter())
            if here < there or (there, here) not in self._accounts:
                unaccounted += abs(bits["made"] - other["made"]) + abs(bits["used"] - other["used"])
        return unaccounted

    @property
    def totals(self) -> dict[str, int]:
        """The sums over all pairs, as key managers told them."""
        totals: Counter[str] = Counter()
        for (here, _), bits in self._accounts.items():
            if here.startswith(KEY_MANAGER_PREFIX):
                totals.update(bits)
        names = {"generated_bits": "made", "used_bits": "used", "stored_bits": "stored"}
        return {name: totals[column] for name, column in (names | {"overdue": "overdue"}).items()}
