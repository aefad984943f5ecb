"""The keys of one epoch of one reservation, on their way through one node.

    reserved    the blocks of the epoch are there; nothing has been encrypted with them
    forwarded   the keys went on: to the next node, or at the target as a tag to the source
    confirmed   at the source: the target has those that every hop could carry
    released    the epoch is over, or the keys are void: what comes later comes too late

What was sent on is kept until the release, so that a repeat is answered by the same again: of a pad no
bit is used twice, and none more than once for the same key.  Nothing here knows about keys or links.
"""

from __future__ import annotations

from enum import Enum, auto

from protos.keys import Confirm, Relay


class Stage(Enum):
    """How far keys have come at a node."""

    RESERVED = auto()
    FORWARDED = auto()
    CONFIRMED = auto()
    RELEASED = auto()


_AFTER = {
    Stage.RESERVED: {Stage.FORWARDED, Stage.RELEASED},
    Stage.FORWARDED: {Stage.CONFIRMED, Stage.RELEASED},
    Stage.CONFIRMED: {Stage.RELEASED},
    Stage.RELEASED: {Stage.RELEASED},
}


class Crossing:
    """See the module.  A step that is not possible raises `ValueError`."""

    def __init__(self, epoch: int) -> None:
        self.epoch = epoch
        self.stage = Stage.RESERVED
        self.onward: tuple[str, Relay | Confirm] | None = None

    def forward(self, destination: str, onward: Relay | Confirm) -> None:
        """Send the keys on; `onward` is what is sent again when somebody asks again."""
        self._come_to(Stage.FORWARDED)
        self.onward = (destination, onward)

    def confirm(self) -> None:
        """Take note that the target has the keys."""
        self._come_to(Stage.CONFIRMED)

    def release(self) -> None:
        """Nothing more is done for these keys here."""
        self._come_to(Stage.RELEASED)
        self.onward = None

    def _come_to(self, stage: Stage) -> None:
        if stage not in _AFTER[self.stage]:
            raise ValueError(f"keys that are {self.stage.name} cannot be {stage.name}")
        self.stage = stage
