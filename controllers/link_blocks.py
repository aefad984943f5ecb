"""What a link makes in one epoch: a block of key for each reservation that crosses it, in columns.

In every epoch each hop of a path makes one block of key on all wavelengths of its reservation, the same at
both ends, and no more of it than the reservation is for.  A block with more errors than the limit allows
is discarded: no key is made of it.  Where keys are finite, a block may take several epochs to fill, and has
a part for each of as many (`controllers.gathering`).  All blocks of a link that were begun together and are
complete together are one `LinkBlocks`, whose columns have a place for each reservation.

A block is used from the front, each byte once.  Nothing here knows paths, messages or stores.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from controllers.gathering import Gathering, Progress
from controllers.ports import ChannelId, LinkProbe, LinkSample, QuantumChannel
from protos.syntax import MediumCode


class Epoch(NamedTuple):
    """When the blocks with a number were begun and are complete."""

    number: int
    since_s: float
    at_s: float


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


@dataclass(slots=True)
class LinkBlocks:
    """See the module; a row is the `Block` at a place.  `pads` are empty until somebody is to use them."""

    peer: str
    epoch: int
    sample: LinkSample
    requests: list[int]
    sifted_bits: list[int]
    errors: list[int]
    qber: list[float]
    is_noisy: list[bool]
    sizes: list[int]
    progress: list[Progress | None] | None
    has_skipped: frozenset[int] = frozenset()
    pads: list[bytes] = field(default_factory=list, repr=False)
    used_bytes: list[int] = field(default_factory=list)

    def block(self, place: int) -> Block:
        """Return what there is to say of one block."""
        return Block(
            self.epoch,
            self.sample,
            self.sifted_bits[place],
            self.errors[place],
            self.sizes[place],
            self.qber[place],
            self.is_noisy[place],
            self.progress[place] if self.progress else None,
        )

    def is_told(self) -> list[bool]:
        """Return, by place, whether there is a measurement to tell of."""
        skipped = self.has_skipped
        return [
            bits > 0 or noisy or place in skipped
            for place, (bits, noisy) in enumerate(zip(self.sifted_bits, self.is_noisy, strict=True))
        ]

    def left_bytes(self, place: int) -> int:
        """Return what has not been used of one block."""
        return self.sizes[place] - self.used_bytes[place]

    def apply(self, place: int, data: bytes) -> bytes:
        """Encrypt or decrypt with the next bytes of a block.  Raises `ValueError` if it is short."""
        used = self.used_bytes[place]
        after = used + len(data)
        if after > self.sizes[place]:
            raise ValueError(f"pad has {self.left_bytes(place)} bytes left, not {len(data)}")
        self.used_bytes[place] = after
        part = self.pads[place][used:after]
        number = int.from_bytes(part, "big") ^ int.from_bytes(data, "big")
        return number.to_bytes(len(data), "big")

    def give_up(self, place: int) -> int:
        """Use nothing more of one block; return how many bytes are left of it."""
        left = self.sizes[place] - self.used_bytes[place]
        self.used_bytes[place] = self.sizes[place]
        return left


@dataclass(slots=True)
class Hop:
    """A reservation's key with one neighbour: its place among the blocks of an epoch, and what gathers."""

    request: int
    peer: str
    quantum: ChannelId
    wavelengths: int
    wanted_bytes: int
    blocks: LinkBlocks | None = None
    place: int = 0
    gathering: Gathering | None = None
    skipped: Progress | None = None

    @property
    def left_bytes(self) -> int:
        """What has not been used of the block in hand."""
        return self.blocks.left_bytes(self.place) if self.blocks else 0

    def apply(self, data: bytes) -> bytes:
        """Encrypt or decrypt with the next bytes of the block.  Raises `ValueError` if it is short."""
        if self.blocks is None:
            raise ValueError(f"no key shared with {self.peer}")
        return self.blocks.apply(self.place, data)


@dataclass(frozen=True)
class BlockMaker:
    """How one node makes blocks with its neighbours."""

    node: str
    key_bytes: int
    qber_limit: float
    probe: LinkProbe
    quantum: QuantumChannel

    def begin(self, hops: Sequence[Hop], epoch: Epoch) -> LinkBlocks:
        """Replace the blocks that reservations have with one neighbour by those of an epoch."""
        blocks = self._made(hops, epoch)
        for place, hop in enumerate(hops):
            hop.blocks, hop.place = blocks, place
        if any(hop.skipped is not None for hop in hops):
            _tell_skipped(blocks, hops)
        channels = [hop.quantum for hop in hops]
        blocks.pads = self.quantum.blocks(channels, epoch.number, blocks.sizes)
        blocks.used_bytes = [0] * len(hops)
        return blocks

    def skip(self, hop: Hop, epoch: Epoch) -> None:
        """Go through an epoch without its key: what comes in counts towards a block all the same."""
        progress = self._made((hop,), epoch).progress
        if progress and progress[0] and progress[0].distilled_bits:
            hop.skipped = progress[0].after(hop.skipped or Progress(0.0, 0))

    def _made(self, hops: Sequence[Hop], epoch: Epoch) -> LinkBlocks:
        """Return the blocks of hops to one neighbour, without any key."""
        peer, number, lasted_s = hops[0].peer, epoch.number, epoch.at_s - epoch.since_s
        sample = self.probe.sample(MediumCode.FIBER, self.node, peer, epoch.at_s, epoch.since_s)
        sifted_bits = [int(hop.wavelengths * sample.sifted_bps * lasted_s) for hop in hops]
        channels = [hop.quantum for hop in hops]
        errors = self.quantum.errors(channels, number, sifted_bits, sample.qber)
        qber = [
            wrong / bits if bits else sample.qber
            for wrong, bits in zip(errors, sifted_bits, strict=True)
        ]
        is_noisy = [share > self.qber_limit for share in qber]
        requests, progress = [hop.request for hop in hops], None
        if sample.block_s:
            progress = self._gathered(hops, sample, lasted_s, is_noisy)
            sizes = [hop.gathering.take_bytes() if hop.gathering else 0 for hop in hops]
        else:
            sizes = self._endless(hops, sample, lasted_s, is_noisy)
        return LinkBlocks(
            peer, number, sample, requests, sifted_bits, errors, qber, is_noisy, sizes, progress
        )

    def _endless(
        self, hops: Sequence[Hop], sample: LinkSample, lasted_s: float, is_noisy: list[bool]
    ) -> list[int]:
        """Return the bytes of key of whole blocks, which all wavelengths have together."""
        each_bytes = int(sample.skr_bps * lasted_s / 8) if sample.usable else 0
        key_bytes = self.key_bytes
        return [
            0
            if noisy
            else min(hop.wanted_bytes, hop.wavelengths * each_bytes) // key_bytes * key_bytes
            for hop, noisy in zip(hops, is_noisy, strict=True)
        ]

    def _gathered(
        self, hops: Sequence[Hop], sample: LinkSample, lasted_s: float, is_noisy: list[bool]
    ) -> list[Progress | None]:
        """Add an epoch to what gathers, and return how far blocks have come."""
        progress: list[Progress | None] = []
        for hop, noisy in zip(hops, is_noisy, strict=True):
            if hop.gathering is None:
                hop.gathering = Gathering(hop.wavelengths, hop.wanted_bytes, self.key_bytes)
            progress.append(hop.gathering.add(sample, lasted_s, is_noisy=noisy))
        return progress


def _tell_skipped(blocks: LinkBlocks, hops: Sequence[Hop]) -> None:
    """Have blocks tell of what was distilled in epochs that were left out, too."""
    skipped = [place for place, hop in enumerate(hops) if hop.skipped is not None]
    for place in skipped:
        before, hops[place].skipped = hops[place].skipped, None
        now = blocks.progress[place] if blocks.progress else None
        if blocks.progress and now and before:
            blocks.progress[place] = now.after(before)
    blocks.has_skipped = frozenset(skipped)
