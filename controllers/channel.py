"""One reservation's way through one node: the key it shares with its neighbours on the path.

An end-to-end key crosses the path encrypted with the blocks of one hop after the other
(`controllers.link_blocks`), and uses up one bit of every hop for each of its own.  What an epoch leaves
unused expires when the next one comes.  Nothing here knows about messages, stores or applications.
"""

from __future__ import annotations

from collections.abc import Iterable

from controllers.link_blocks import Block, BlockMaker, Epoch, Hop, LinkBlocks
from controllers.ports import ChannelId
from protos.mib import ChannelRow
from protos.syntax import MediumCode


def fiber_channel(a: str, b: str, request: int, generation: int = 0) -> ChannelId:
    """Return the quantum channel between neighbours that serves one reservation."""
    return ChannelId(MediumCode.FIBER, min(a, b), max(a, b), request, generation)


class Channel:
    """The part of one node in one reservation; `end` says which part that is.

    It has as many wavelengths as given, or else one for each unit.
    """

    def __init__(
        self, node: str, row: ChannelRow, key_bytes: int, wavelengths: int | None = None
    ) -> None:
        self.row = row
        self.is_source, self.is_target = not row.upstream, not row.downstream
        self.end = "source" if self.is_source else "target" if self.is_target else "relay"
        self.neighbours = [
            name for name in (row.upstream, row.downstream) if name
        ]  # upstream first
        count = row.units if wavelengths is None else wavelengths
        self.hops = tuple(
            Hop(
                row.request,
                peer,
                fiber_channel(node, peer, row.request, row.generation),
                count,
                row.units * key_bytes,
            )
            for peer in self.neighbours
        )
        self._key_bytes = key_bytes
        self._began_ms = row.start_ms
        self.due_ms = row.due_ms
        """When the next epoch's blocks are complete."""
        self.epoch = 0
        """The epoch whose blocks are in hand, counted from the start of the run; 0 before the first."""

    @property
    def blocks(self) -> dict[str, Block]:
        """The blocks in hand, by neighbour."""
        return {hop.peer: hop.blocks.block(hop.place) for hop in self.hops if hop.blocks}

    @property
    def made_s(self) -> float:
        """When the blocks in hand were complete."""
        return self._began_ms / 1000

    def turn(self) -> Epoch:
        """Go on to the next epoch, and return it."""
        since_ms, at_ms, period_ms = self._began_ms, self.due_ms, self.row.period_ms
        self._began_ms, self.due_ms = at_ms, at_ms + period_ms
        return Epoch(at_ms // period_ms, since_ms / 1000, at_ms / 1000)

    def skip(self, epoch: int, maker: BlockMaker) -> None:
        """Begin with a later epoch than this.

        What came in before counts towards a block, as it does at neighbours that skip nothing.
        """
        while self.due_ms // self.row.period_ms <= epoch:
            left_out = self.turn()
            for hop in self.hops:
                maker.skip(hop, left_out)

    def ready_units(self) -> int:
        """End-to-end keys that the block shared with the downstream neighbour can carry."""
        return 0 if self.is_target else self.hops[-1].left_bytes // self._key_bytes

    def encrypt(self, data: bytes) -> bytes:
        """Encrypt for the downstream neighbour.  Raises `ValueError` if the pad is short."""
        return self.hops[-1].apply(data)

    def errors_sent(self) -> int:
        """Return the errors in the block that encrypts for the downstream neighbour."""
        hop = self.hops[-1]
        return hop.blocks.errors[hop.place] if hop.blocks else 0

    def decrypt(self, epoch: int, data: bytes, errors: int = 0) -> bytes:
        """Decrypt what the upstream neighbour sent, which counted this many errors in the block.

        Raises `ValueError` if the pad is short or of another epoch, or if the ends of the link found
        different errors: then they do not hold the same block.
        """
        if epoch != self.epoch:
            raise ValueError(f"relayed in epoch {epoch}, but this node is in {self.epoch}")
        hop = self.hops[0]
        if hop.blocks is not None and hop.blocks.errors[hop.place] != errors:
            here = hop.blocks.errors[hop.place]
            raise ValueError(f"{errors} errors there, but {here} here, in one block")
        return hop.apply(data)

    def expire(self) -> list[tuple[str, int]]:
        """Give up what is left of the blocks in hand; return how many bits, with the neighbour."""
        return [
            (hop.peer, 8 * left)
            for hop in self.hops
            if hop.blocks is not None and (left := hop.blocks.give_up(hop.place))
        ]

    def left(self) -> dict[str, int]:
        """Return unused bits by neighbour."""
        return {hop.peer: 8 * size for hop in self.hops if (size := hop.left_bytes)}


def begin_epochs(channels: Iterable[Channel], maker: BlockMaker) -> list[LinkBlocks]:
    """Replace the blocks of all these by those of their next epochs; return them by link."""
    on_links: dict[tuple[str, Epoch], list[Hop]] = {}
    for channel in channels:
        epoch = channel.turn()
        channel.epoch = epoch.number
        for hop in channel.hops:
            on_links.setdefault((hop.peer, epoch), []).append(hop)
    return [maker.begin(hops, epoch) for (_, epoch), hops in on_links.items()]
