"""What a node makes, uses and gives up of the key that it shares with its neighbours, as facts.

All that becomes of the key of one link and epoch in one step is one fact a kind, with a share for each
reservation (`protos.facts.Shares`).  Nothing here holds key.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import compress

from controllers.channel import Channel
from controllers.link_blocks import LinkBlocks
from protos.core import Effects
from protos.facts import Fact, FactKind, Shares

_Column = list[int]


@dataclass
class _Noted:
    """Shares by column, of one kind, link and epoch."""

    requests: _Column = field(default_factory=list)
    bits: _Column = field(default_factory=list)
    qber: list[float | None] = field(default_factory=list)
    discarded: _Column = field(default_factory=list)
    filled: list[float | None] = field(default_factory=list)
    distilled_bits: _Column = field(default_factory=list)

    def shares(self) -> Shares:
        """Return the columns; one that says nothing is empty."""
        is_gathered = any(part is not None for part in self.filled)
        return Shares(
            tuple(self.requests),
            tuple(self.bits),
            tuple(self.qber) if any(qber is not None for qber in self.qber) else (),
            tuple(self.discarded),
            tuple(self.filled) if is_gathered else (),
            tuple(self.distilled_bits) if is_gathered else (),
        )


class LinkNotes:
    """Collects what a step does with link key, until it is noted."""

    def __init__(self, effects: Effects) -> None:
        self._effects = effects
        self._expired: dict[tuple[str, int], _Noted] = {}
        self._made: dict[tuple[str, int], _Noted] = {}
        self._used: dict[tuple[str, int], _Noted] = {}

    def made(self, blocks: LinkBlocks) -> None:
        """Take note of blocks, which may have no key."""
        noted, told = _of(self._made, blocks.peer, blocks.epoch), blocks.is_told()
        noted.requests += blocks.requests
        noted.bits += [8 * size for size in blocks.sizes]
        noted.qber += [
            qber if is_told else None for qber, is_told in zip(blocks.qber, told, strict=True)
        ]
        noted.discarded += compress(blocks.requests, blocks.is_noisy)
        for place, is_told in enumerate(told):
            progress = blocks.progress[place] if blocks.progress and is_told else None
            noted.filled.append(progress.filled if progress else None)
            noted.distilled_bits.append(progress.distilled_bits if progress else 0)

    def used(self, request: int, peer: str, epoch: int, bits: int) -> None:
        """Take note of how much a block has encrypted or decrypted."""
        noted = _of(self._used, peer, epoch)
        noted.requests.append(request)
        noted.bits.append(bits)

    def expired(self, request: int, peer: str, epoch: int, bits: int) -> None:
        """Take note of how much of a block was given up."""
        noted = _of(self._expired, peer, epoch)
        noted.requests.append(request)
        noted.bits.append(bits)

    def flush(self) -> None:
        """Note all that was collected; to be called in every step, after all else."""
        for kind, collected in (
            (FactKind.EXPIRED, self._expired),
            (FactKind.GENERATED, self._made),
            (FactKind.RELAYED, self._used),
        ):
            for fact in _facts(kind, collected):
                self._effects.note(fact)
            collected.clear()


def stored(channels: Iterable[Channel]) -> Iterator[Fact]:
    """Yield facts of the link key that reservations have left."""
    collected: dict[tuple[str, int], _Noted] = {}
    for channel in channels:
        for peer, bits in channel.left().items():
            noted = _of(collected, peer, channel.epoch)
            noted.requests.append(channel.row.request)
            noted.bits.append(bits)
    return _facts(FactKind.STORED, collected)


def _of(collected: dict[tuple[str, int], _Noted], peer: str, epoch: int) -> _Noted:
    found = collected.get((peer, epoch))
    if found is None:
        found = collected[peer, epoch] = _Noted()
    return found


def _facts(kind: FactKind, collected: dict[tuple[str, int], _Noted]) -> Iterator[Fact]:
    for (peer, epoch), noted in collected.items():
        yield Fact(
            kind,
            serial=epoch,
            medium="fiber",
            peer=peer,
            units=len(noted.requests),
            bits=sum(noted.bits),
            details=noted.shares(),
        )
