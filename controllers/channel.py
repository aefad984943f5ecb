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

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from controllers.gathering import Gathering, Progress
from controllers.ports import ChannelId, LinkProbe, LinkSample, QuantumChannel
from protos.mib import ChannelRow, MediumCode


@dataclass(slots=True)
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

    `qber` is the measured fraction; with nothing to compare it is as the link says.  A block that is
    `is_noisy` has more errors than the limit allows, and no key.  Where keys are finite, `progress` says
    how far the block has come that this is part of, with what was distilled in epochs that were skipped.
    """

    epoch: int
    sample: LinkSample
    sifted_bits: int
    errors: int
    n_bytes: int
    qber: float
    is_noisy: bool
    progress: Progress | None = None
    has_skipped: bool = False

    @property
    def is_told(self) -> bool:
        """Whether there is a measurement to tell of."""
        return self.sifted_bits > 0 or self.is_noisy or self.has_skipped


def fiber_channel(a: str, b: str, request: int, generation: int = 0) -> ChannelId:
    """Return the quantum channel between neighbours that serves one reservation."""
    return ChannelId(MediumCode.FIBER, min(a, b), max(a, b), request, generation)


@dataclass(slots=True)
class Hop:
    """A reservation's key with one neighbour: the block of this epoch, and what gathers for later ones."""

    peer: str
    quantum: ChannelId
    block: Block | None = None
    pad: Pad | None = None
    gathering: Gathering | None = None
    skipped: Progress | None = None

    @property
    def left_bytes(self) -> int:
        """What has not been used of the block in hand."""
        return self.pad.left_bytes if self.pad else 0

    def apply(self, data: bytes) -> bytes:
        """Encrypt or decrypt with the next bytes of the block.  Raises `ValueError` if it is short."""
        if self.pad is None:
            raise ValueError(f"no key shared with {self.peer}")
        return self.pad.apply(data)


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
        self.hops = tuple(
            Hop(peer, fiber_channel(node, peer, row.request, row.generation))
            for peer in self.neighbours
        )
        self._key_bytes, self._wanted_bytes = key_bytes, row.units * key_bytes
        self._qber_limit = qber_limit
        self._began_ms, self._due_ms = row.start_ms, row.due_ms
        self.epoch = 0
        """The epoch whose blocks are in hand, counted from the start of the run; 0 before the first."""

    @property
    def blocks(self) -> dict[str, Block]:
        """The blocks in hand, by neighbour."""
        return {hop.peer: hop.block for hop in self.hops if hop.block is not None}

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
            for hop, block in self._next_blocks(probe, quantum):
                if block.progress and block.progress.distilled_bits:
                    hop.skipped = block.progress.after(hop.skipped or Progress(0.0, 0))

    def begin_epoch(self, probe: LinkProbe, quantum: QuantumChannel) -> None:
        """Replace the old blocks by new ones."""
        self.epoch = epoch = self._due_ms // self.row.period_ms
        for hop, block in self._next_blocks(probe, quantum):
            hop.pad = Pad(epoch, quantum.block(hop.quantum, epoch, block.n_bytes))
            hop.block = _with_skipped(block, hop.skipped) if hop.skipped else block
            hop.skipped = None

    def ready_units(self) -> int:
        """End-to-end keys that the block shared with the downstream neighbour can carry."""
        return 0 if self.is_target else self.hops[-1].left_bytes // self._key_bytes

    def encrypt(self, data: bytes) -> bytes:
        """Encrypt for the downstream neighbour.  Raises `ValueError` if the pad is short."""
        return self.hops[-1].apply(data)

    def decrypt(self, epoch: int, data: bytes, errors: int = 0) -> bytes:
        """Decrypt what the upstream neighbour sent, which counted this many errors in the block.

        Raises `ValueError` if the pad is short or of another epoch, or if the ends of the link found
        different errors: then they do not hold the same block.
        """
        if epoch != self.epoch:
            raise ValueError(f"relayed in epoch {epoch}, but this node is in {self.epoch}")
        hop = self.hops[0]
        if hop.block is not None and hop.block.errors != errors:
            raise ValueError(f"{errors} errors there, but {hop.block.errors} here, in one block")
        return hop.apply(data)

    def expire(self) -> dict[str, int]:
        """Give up what is left of the blocks in hand; return how many bits, by neighbour."""
        left = self.left()
        for hop in self.hops:
            hop.pad = None
        return left

    def left(self) -> dict[str, int]:
        """Return unused bits by neighbour."""
        return {hop.peer: 8 * size for hop in self.hops if (size := hop.left_bytes)}

    def _next_blocks(
        self, probe: LinkProbe, quantum: QuantumChannel
    ) -> Iterator[tuple[Hop, Block]]:
        """Yield the blocks of the epoch that is over now, having gone on to the next."""
        since_s, at_s, epoch = self.made_s, self.due_s, self._due_ms // self.row.period_ms
        self._began_ms, self._due_ms = self._due_ms, self._due_ms + self.row.period_ms
        lasted_s, wavelengths = at_s - since_s, self._wavelengths
        for hop in self.hops:
            sample = probe.sample(MediumCode.FIBER, self._node, hop.peer, at_s, since_s)
            sifted_bits = int(wavelengths * sample.sifted_bps * lasted_s)
            errors = quantum.errors(hop.quantum, epoch, sifted_bits, sample.qber)
            qber = errors / sifted_bits if sifted_bits else sample.qber
            is_noisy = qber > self._qber_limit
            n_bytes, progress = self._distil(hop, sample, lasted_s, is_noisy=is_noisy)
            yield (
                hop,
                Block(epoch, sample, sifted_bits, errors, n_bytes, qber, is_noisy, progress),
            )

    def _distil(
        self, hop: Hop, sample: LinkSample, lasted_s: float, *, is_noisy: bool
    ) -> tuple[int, Progress | None]:
        """Return the bytes of key that all wavelengths have together, and how far blocks have come."""
        key_bytes, wanted_bytes = self._key_bytes, self._wanted_bytes
        if sample.block_s:
            if hop.gathering is None:
                hop.gathering = Gathering(self._wavelengths, wanted_bytes, key_bytes)
            progress = hop.gathering.add(sample, lasted_s, is_noisy=is_noisy)
            return hop.gathering.take_bytes(), progress
        if is_noisy or not sample.usable:
            return 0, None
        made_bytes = self._wavelengths * int(sample.skr_bps * lasted_s / 8)
        return min(wanted_bytes, made_bytes) // key_bytes * key_bytes, None


def _with_skipped(block: Block, skipped: Progress) -> Block:
    """Return a block that tells of what was distilled in epochs that were left out, too."""
    progress = block.progress and block.progress.after(skipped)
    return block._replace(progress=progress, has_skipped=True)
