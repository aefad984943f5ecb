"""The cores of one host: run window by window, and recovered from the journal.

Each window is committed before its messages are sent.  Each message is read once, in an order that does not
depend on the transport.  What was sent is kept for two windows, because a receiver that is lost in
between needs it again.  A restarted host loads the last checkpoint from its journal and replays the mail
since.  Cores are pure, so they then are what they were, down to what they sent last; if the keys that they
then hold differ from those in the journal, they do not come back.  A checkpoint is made as soon as
replaying the windows since the last would take longer than `checkpoint_after_s`, or ten times what a
checkpoint takes.

Between two windows cores can be told of an event to come; from then on they are as if they had known it
from the start.  Nothing here knows transport, or what a message means.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType

from emulator.build.roles import Role
from emulator.runtime.message_faults import NO_FAULTS, MessageFaults
from emulator.runtime.role_cores import RoleCores
from emulator.runtime.sae_calls import CallsByEntity, SaeCalls, calls_of, rows_of
from emulator.store.journal import Journal
from emulator.store.sealing import Seal
from emulator.world.events import WorldEvent, read_back
from protos import wire
from protos.core import Answering, EntityOrder, Message, Step
from protos.facts import Fact
from protos.node_status import NodeStatus

_CHECKPOINT = "checkpoint"
_CHECKPOINT_SHARE = 10


class HostedCores(RoleCores):
    """See the module."""

    def __init__(
        self,
        roles: Sequence[Role],
        window_s: float,
        journal: Journal,
        seal: Seal,
        checkpoint_after_s: float,
        *,
        order: EntityOrder,
        message_faults: MessageFaults = NO_FAULTS,
        serves_until: int | None = None,
    ) -> None:
        self._serves_until = -1 if serves_until is None else serves_until
        super().__init__(roles, window_s, order, message_faults)
        self._journal, self._seal = journal, seal
        self._checkpoint_after_s = checkpoint_after_s
        self._raw: dict[int, list[wire.Batch]] = defaultdict(list)
        self._stepped_s = self._checkpoint_s = 0.0
        self.calls = SaeCalls(lambda entity: self._here[entity].core, window_s)
        self._recover()

    def hear(self, news: Sequence[str], last_window: int) -> list[WorldEvent]:
        """Learn of events after the last window that any host has run; return those that are new here.

        `news` is everything injected since the run began.
        """
        fresh = [(text, read_back(text)) for text in news[len(self._news) :]]
        for text, event in fresh:
            self._journal.hear(text)
            self.learn(event, last_window)
        return [event for _, event in fresh]

    def take(self, batch: wire.Batch, messages: Sequence[Message]) -> int:
        """Keep what was sent in the batch's window for the next; return the number of repeats.

        What has been read is dropped.  Raises `KeyError` for an unknown destination.
        """
        window = batch.window + 1
        homes = [self._here[message.destination] for message in messages]
        if self.last_window is not None and window <= self.last_window:
            return len(messages)
        self._raw[window].append(batch)
        new = [
            home.mailbox.put(window, message) for message, home in zip(messages, homes, strict=True)
        ]
        return new.count(False)

    def run(
        self,
        window: int,
        also: Mapping[str, Sequence[Fact]] = MappingProxyType({}),
        wake_window: int | None = None,
    ) -> None:
        """Run a window, and commit it with other notes; a window that has been run stays as it is.

        `wake_window` is when the host wants to run next, whatever the cores here want.
        """
        if self.last_window is not None and window <= self.last_window:
            return
        asked = self.calls.take(window, lambda entity: self._is_away(entity, window))
        self._hear_calls(window, asked)
        mail = wire.mail(self._raw.pop(window, []))
        self._raw = defaultdict(list, {at: raw for at, raw in self._raw.items() if at > window})
        steps = self.step(window)
        self.calls.keep(steps)
        enough_s = max(self._checkpoint_after_s, _CHECKPOINT_SHARE * self._checkpoint_s)
        checkpoint = self._checkpoint() if self._stepped_s > enough_s else None
        facts = {entity: [*also.get(entity, ()), *step.facts] for entity, step in steps.items()}
        facts |= {entity: list(noted) for entity, noted in also.items() if entity not in steps}
        changes = {entity: step.keys for entity, step in steps.items()}
        keys = self._journal.key_rows(changes, self._seal)
        wakes = (self.wake_window, wake_window)
        wake = min((at for at in wakes if at is not None), default=None)
        wrote = {message.destination for message in self._sent[window]}
        inputs = rows_of(asked)
        self._journal.commit(
            window, facts, mail, checkpoint, keys, wake=wake, wrote=wrote, asked=inputs
        )

    def finish(self, also: Mapping[str, Sequence[Fact]] = MappingProxyType({})) -> None:
        """Write down what is left in hand, and what else, unless that has been done."""
        if not self._journal.finished:
            left = {
                name: (window, [*facts, *also.get(name, ())])
                for name, (window, facts) in self.left().items()
            }
            self._journal.finish(left, self.key_changes())

    def doubt_answers(self) -> None:
        """Have cores take note that answers of a former life may not have left."""
        for entity, hosted in self._here.items():
            if isinstance(hosted.core, Answering) and hosted.core.is_unsure:
                self.calls.doubt(entity)

    def status(self, entity: str) -> NodeStatus:
        """Return what an entity shows of its node.  Raises `KeyError` for who cannot be called."""
        window = max(0, self._last)
        status = self.calls.core_of(entity).status(window * self._window_s)
        return replace(status, is_out=self._message_faults.is_out(entity, window))

    def _is_away(self, entity: str, window: int) -> bool:
        """Whether SAEs cannot call an entity in a window."""
        return window > self._serves_until or self._message_faults.is_out(entity, window)

    def _hear_calls(self, window: int, asked: CallsByEntity) -> None:
        """Tell cores of the calls of a window, in which they then are due."""
        for entity, calls in asked.items():
            self.calls.core_of(entity).hear(calls)
            hosted = self._here[entity]
            wake = hosted.wake_window
            hosted.wake_window = window if wake is None else min(wake, window)

    def step(self, window: int) -> dict[str, Step]:
        """Run a window, and take note of how long that took."""
        began_s = time.perf_counter()
        steps = super().step(window)
        self._stepped_s += time.perf_counter() - began_s
        return steps

    def _recover(self) -> None:
        for text in self._journal.news():
            self.learn(read_back(text))
        past = self._journal.past()
        if past.checkpoint is not None:
            self._take_up(self._seal.open(past.checkpoint, _CHECKPOINT))
        reached = -1 if self.last_window is None else self.last_window
        asked = {
            at: calls_of(rows, self._window_s * at) for at, rows in self._journal.asked().items()
        }
        for window, mail in past.mail:
            for message in wire.mail_messages(mail):
                self.put(window, message)
            self._hear_calls(window, asked.pop(window, {}))
            self.step(window)
        for window, calls in asked.items():  # of windows that were taken back: they come again
            if window > reached:
                self._hear_calls(window, calls)
        self._journal.check_keys(self.key_changes(), self._seal)

    def _checkpoint(self) -> bytes:
        began_s = time.perf_counter()
        sealed = self._seal.close(self._state(), _CHECKPOINT)
        self._stepped_s, self._checkpoint_s = 0.0, time.perf_counter() - began_s
        return sealed
