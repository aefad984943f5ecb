"""One reservation's way through one node: the pads it shares with its neighbours on the path.

In every epoch each hop of the path makes one block of key on all its wavelengths, the same at both ends,
and no more of it than the reservation is for.  An end-to-end
key crosses the path encrypted with these blocks, one hop after the other, and uses up one bit of
every hop for each of its own.  A block with more errors than the limit allows is discarded: no key is
made of it.  What an epoch leaves unused expires when the next one comes.  Where keys are finite, a block
may take several epochs to fill, and has a part for each of as many (`controllers.gathering`).
Nothing here knows about messages, stores or applications.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from controllers.gathering import Gathering, Progress
from controllers.ports import ChannelId, LinkProbe, LinkSample, QuantumChannel
from protos.facts import Fact, FactKind, Measured
from protos.mib import ChannelRow, MediumCode


@dataclass
class Pad:
    """Key shared with one neighbour in one epoch, used from the front, each byte once."""

    epoch: int
    material: bytes = field(repr=False)
    used_bytes: int = 0

    @property
    def left_bytes(self) -> int:
        """What has not been used."""
        return len(self.material) - self.used_bytes

    def apply(self, data: bytes) -> bytes:
        """Encrypt or decrypt with the next bytes of the pad.  Raises `ValueError` if it is short."""
        if len(data) > self.left_bytes:
            raise ValueError(f"pad has {self.left_bytes} bytes left, not {len(data)}")
        part = self.material[self.used_bytes : self.used_bytes + len(data)]
        self.used_bytes += len(data)
        number = int.from_bytes(part, "big") ^ int.from_bytes(data, "big")
        return number.to_bytes(len(data), "big")


class Block(NamedTuple):
    """What a link offered for one block, and the errors that both ends counted in it.

    `qber` is the measured fraction; with nothing to compare it is as the link says.  Where keys are finite,
    `progress` says how far the block has come that this is part of.
    """

    epoch: int
    sample: LinkSample
    sifted_bits: int
    errors: int
    n_bytes: int
    qber: float
    progress: Progress | None = None


def fiber_channel(a: str, b: str, request: int, generation: int = 0) -> ChannelId:
    """Return the quantum channel between neighbours that serves one reservation."""
    return ChannelId(MediumCode.FIBER, min(a, b), max(a, b), request, generation)


class Channel:
    """The part of one node in one reservation; `end` says which part that is.

    It has as many wavelengths as given, or else one for each unit.
    """

    def __init__(
        self,
        node: str,
        row: ChannelRow,
        key_bytes: int,
        qber_limit: float,
        wavelengths: int | None = None,
    ) -> None:
        self.row = row
        self._wavelengths = row.units if wavelengths is None else wavelengths
        self._node = node
        self.is_source, self.is_target = not row.upstream, not row.downstream
        self.end = "source" if self.is_source else "target" if self.is_target else "relay"
        self.neighbours = [
            name for name in (row.upstream, row.downstream) if name
        ]  # upstream first
        self._quantum = [
            (peer, fiber_channel(node, peer, row.request, row.generation))
            for peer in self.neighbours
        ]
        self._key_bytes = key_bytes
        self._qber_limit = qber_limit
        self._pads: dict[str, Pad] = {}
        self._gathered: dict[str, Gathering] = {}
        self._skipped: dict[str, Progress] = {}
        self.blocks: dict[str, Block] = {}
        self._began_ms = row.start_ms
        self._due_ms = row.due_ms
        self._epoch = 0

    @property
    def epoch(self) -> int:
        """The epoch whose blocks are in hand, counted from the start of the run; 0 before the first."""
        return self._epoch

    @property
    def due_s(self) -> float:
        """When the next epoch's blocks are complete."""
        return self._due_ms / 1000

    @property
    def made_s(self) -> float:
        """When the blocks in hand were complete."""
        return self._began_ms / 1000

    def skip(self, epoch: int, probe: LinkProbe, quantum: QuantumChannel) -> None:
        """Begin with a later epoch than this.

        What came in before counts towards a block, as it does at neighbours that skip nothing.
        """
        while self._due_ms // self.row.period_ms <= epoch:
            for peer, block in self._next_blocks(probe, quantum).items():
                if block.progress and block.progress.distilled_bits:
                    before = self._skipped.get(peer, Progress(0.0, 0))
                    self._skipped[peer] = block.progress.after(before)

    def begin_epoch(self, probe: LinkProbe, quantum: QuantumChannel) -> list[Fact]:
        """Replace the old blocks by new ones; return what happened."""
        facts = self.expire()
        self._epoch = self._due_ms // self.row.period_ms
        self.blocks |= self._next_blocks(probe, quantum)
        for peer, channel in self._quantum:
            block = self.blocks[peer]
            skipped = self._skipped.pop(peer, None)
            material = quantum.block(channel, self._epoch, block.n_bytes)
            self._pads[peer] = Pad(self._epoch, material)
            measured = self._quality(block, skipped)
            facts.append(self._fact(FactKind.GENERATED, peer, 8 * block.n_bytes, measured))
        return facts

    def ready_units(self) -> int:
        """End-to-end keys that the block shared with the downstream neighbour can carry."""
        pad = self._pads.get(self.row.downstream)
        return pad.left_bytes // self._key_bytes if pad else 0

    def encrypt(self, data: bytes) -> tuple[bytes, Fact]:
        """Encrypt for the downstream neighbour.  Raises `ValueError` if the pad is short."""
        return self._apply(self.row.downstream, data)

    def decrypt(self, epoch: int, data: bytes, errors: int = 0) -> tuple[bytes, Fact]:
        """Decrypt what the upstream neighbour sent, which counted this many errors in the block.

        Raises `ValueError` if the pad is short or of another epoch, or if the ends of the link found
        different errors: then they do not hold the same block.
        """
        if epoch != self._epoch:
            raise ValueError(f"relayed in epoch {epoch}, but this node is in {self._epoch}")
        block = self.blocks.get(self.row.upstream)
        if block is not None and block.errors != errors:
            raise ValueError(f"{errors} errors there, but {block.errors} here, in one block")
        return self._apply(self.row.upstream, data)

    def expire(self) -> list[Fact]:
        """Give up what is left of the blocks in hand."""
        pads, self._pads = self._pads, {}
        left = ((peer, pad.left_bytes) for peer, pad in pads.items())
        return [self._fact(FactKind.EXPIRED, peer, 8 * size) for peer, size in left if size]

    def left(self) -> dict[str, int]:
        """Return unused bits by neighbour."""
        return {peer: 8 * pad.left_bytes for peer, pad in self._pads.items() if pad.left_bytes}

    def _next_blocks(self, probe: LinkProbe, quantum: QuantumChannel) -> dict[str, Block]:
        """Return the blocks of the epoch that is over now, by neighbour, and go on to the next."""
        since_s, at_s, epoch = self.made_s, self.due_s, self._due_ms // self.row.period_ms
        self._began_ms, self._due_ms = self._due_ms, self._due_ms + self.row.period_ms
        found = {}
        for peer, channel in self._quantum:
            sample = probe.sample(MediumCode.FIBER, self._node, peer, at_s, since_s)
            sifted_bits = int(self._wavelengths * sample.sifted_bps * (at_s - since_s))
            errors = quantum.errors(channel, epoch, sifted_bits, sample.qber)
            qber = errors / sifted_bits if sifted_bits else sample.qber
            block = Block(epoch, sample, sifted_bits, errors, 0, qber)
            found[peer] = self._distilled(peer, block, at_s - since_s)
        return found

    def _distilled(self, peer: str, block: Block, lasted_s: float) -> Block:
        """Return the block that all wavelengths together have made in this time, with its key."""
        sample, is_noisy = block.sample, block.qber > self._qber_limit
        wanted_bytes = self.row.units * self._key_bytes
        if sample.block_s:
            if peer not in self._gathered:
                self._gathered[peer] = Gathering(self._wavelengths, wanted_bytes, self._key_bytes)
            gathered = self._gathered[peer]
            progress = gathered.add(sample, lasted_s, is_noisy=is_noisy)
            return block._replace(n_bytes=gathered.take_bytes(), progress=progress)
        if is_noisy or not sample.usable:
            return block
        made_bytes = self._wavelengths * int(sample.skr_bps * lasted_s / 8)
        whole_bytes = min(wanted_bytes, made_bytes) // self._key_bytes * self._key_bytes
        return block._replace(n_bytes=whole_bytes)

    def _quality(self, block: Block, skipped: Progress | None) -> Measured | None:
        """Return how noisy a block was, whether it was discarded for it, and how far it has come.

        What was distilled in an epoch that was `skipped` is told with the next.
        """
        is_discarded, progress = block.qber > self._qber_limit, block.progress
        if not (is_discarded or block.sifted_bits or skipped):
            return None
        if progress is None:
            return Measured(block.qber, is_discarded)
        told = progress.after(skipped or Progress(0.0, 0))
        return Measured(block.qber, is_discarded, told.filled, told.distilled_bits)

    def _apply(self, peer: str, data: bytes) -> tuple[bytes, Fact]:
        pad = self._pads.get(peer)
        if pad is None:
            raise ValueError(f"no key shared with {peer}")
        return pad.apply(data), self._fact(FactKind.RELAYED, peer, 8 * len(data))

    def _fact(self, kind: FactKind, peer: str, bits: int, details: Measured | None = None) -> Fact:
        return Fact(
            kind,
            self.row.request,
            serial=self._epoch,
            medium="fiber",
            peer=peer,
            end=self.end,
            bits=bits,
            details=details,
        )
