"""What all cores that are managed by SNMP have in common: an agent, and PDUs of their own under way.

In a step such a core answers PDUs, takes the answers to its own, does what is due, and sends again what
has gone unanswered for long.  It tells the manager that it has started (coldStart): by a trap at first, by
an inform after it was out.  What it answers, and what is due, is up to each core.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Generic, TypeVar

from controllers.snmp_agent import Refusal, SnmpAgent, Tables
from protos.core import GLOBAL_MANAGER, Effects, Measure, Message, Step, Totals, is_operator
from protos.facts import Fact
from protos.key_changes import KeyChange
from protos.keys import KeyTraffic
from protos.mib import AgentRow, Row
from protos.notifications import COLD_START
from protos.pdu import Pdu, Verb
from protos.pending_requests import PendingRequests
from protos.rows import notify
from protos.settings import set_fact

Context = TypeVar("Context")


class ManagedCore(ABC, Generic[Context]):
    """A core with an agent; `Context` is what it keeps with a request until the answer comes."""

    def __init__(self, name: str, retry_after_s: float) -> None:
        self.name = name
        self._effects = Effects(name)
        self._requests: PendingRequests[Context | None] = PendingRequests(retry_after_s)
        self._agent = SnmpAgent(self._all_tables, self._accept)
        self._starts = 0

    def step(self, now_s: float, inbox: Sequence[Message]) -> Step:
        """Consume messages, then do what is due."""
        for message in inbox:
            if isinstance(message.body, Pdu):
                self._on_pdu(message.source, message.body, now_s)
            else:
                for item in message.body.items:
                    self._on_traffic(message.source, item)
        self._act(now_s)
        self._requests.resend(self._effects, now_s)
        wakes = (self._due_s(), self._requests.wake_s)
        return self._effects.flush(min((s for s in wakes if s is not None), default=None))

    def started(self, now_s: float) -> None:
        """Tell the manager that this agent is there, or back."""
        verb = Verb.INFORM if self._starts else Verb.TRAP
        self._starts += 1
        pdu = notify(COLD_START, self._row, 0, now_s, verb)
        if verb is Verb.TRAP:
            self._effects.send(GLOBAL_MANAGER, pdu)
        else:
            self._request(GLOBAL_MANAGER, pdu, None, now_s)

    def waits(self) -> bool:
        """Return whether an answer is missing."""
        return self._requests.is_open

    def close(self) -> list[Fact]:
        """Return the key that is left, as facts; here there is none."""
        return []

    def key_changes(self) -> list[KeyChange]:
        """Return the changes that rebuild its key stores from empty; here there are none."""
        return []

    def totals(self) -> Totals:
        """Return running totals of applications and money; here there are none."""
        return Totals()

    def rows(self) -> dict[type[Row], tuple[Row, ...]]:
        """Return all rows that can be read, by their type; nothing changes by it."""
        return {kind: tuple(rows) for kind, rows in self._all_tables().items()}

    @abstractmethod
    def measures(self) -> list[Measure]:
        """Return what observers may see."""

    @abstractmethod
    def _tables(self) -> Tables:
        """Return all rows that can be read, by their type."""

    @abstractmethod
    def _accept(self, rows: Sequence[Row], source: str, now_s: float) -> Refusal | None:
        """Take all rows of a Set, or say why not."""

    @abstractmethod
    def _act(self, now_s: float) -> None:
        """Do what is due."""

    @abstractmethod
    def _due_s(self) -> float | None:
        """Return when something is due next; None: never."""

    @abstractmethod
    def _on_answer(self, source: str, context: Context, answer: Pdu, now_s: float) -> None:
        """Take the answer to a request; a repeated answer does not come here."""

    def _on_traffic(self, source: str, body: KeyTraffic) -> None:
        """Take key traffic; a core that has no part in it ignores it."""

    def _all_tables(self) -> Tables:
        return {**self._tables(), AgentRow: (self._row,)}

    @property
    def _row(self) -> AgentRow:
        return AgentRow(1, max(0, self._starts - 1))

    def _request(self, destination: str, pdu: Pdu, context: Context | None, now_s: float) -> None:
        self._requests.send(self._effects, destination, pdu, context, now_s)

    def _on_pdu(self, source: str, pdu: Pdu, now_s: float) -> None:
        if pdu.verb is not Verb.RESPONSE:
            answer = self._agent.answer(source, pdu, now_s)
            if is_operator(source):
                self._effects.note(set_fact(source, answer))
            self._effects.send(source, answer)
            return
        context = self._requests.close(source, pdu)
        if context is not None:
            self._on_answer(source, context, pdu, now_s)
