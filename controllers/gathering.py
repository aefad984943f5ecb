"""Sifted bits that become key once they fill a block, at one end of a link.

With a protocol of finite keys every wavelength gathers a block of its own; all wavelengths of a link are
alike, so theirs are full together.  Epoch by epoch what came in is added.  In the first epoch in which a
block is full, all that was gathered is distilled, and gathering restarts.  What a block is worth is
handed out over as many epochs as it was gathered in, at most what the reservation is for in each; so an
undisturbed link brings from its first block on what its mean rate makes in every epoch.

These always hold:

* before a block is full there is no key of it;
* a block is worth what its worst epoch concedes, as if all of it had been such: rates are convex in what
  disturbs a link, so the mean of the epochs' rates would be too much;
* an epoch with too many errors, or in which light came and no key was left, voids all that was gathered.
  Proofs are of blocks that are kept or given up as a whole; to leave out the epochs that look worst would
  choose bits by their errors.  An epoch in which nothing came in is no part of a block, and voids nothing;
* of bits beyond a full block no more is taken than a block of that size is worth per bit, which is less
  than larger blocks are;
* what has been distilled stays, whatever befalls the link later.

Both ends see the same epochs, hence have the same.  Nothing here knows peers, pads or time.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf

from controllers.ports import LinkSample

_ROUNDING = 1e-9  # of a block, by which sums of epochs may fall short


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a link has come in an epoch.

    `filled` is the part of a block that had been gathered when the epoch was over, 1 or more if that was
    distilled; `distilled_bits` is the key that came of it, on all wavelengths together.
    """

    filled: float
    distilled_bits: int

    def after(self, before: Progress) -> Progress:
        """Return what is told of this epoch together with an earlier one of which nothing was told."""
        filled = max(self.filled, before.filled)
        return Progress(filled, self.distilled_bits + before.distilled_bits)


class Gathering:
    """See the module; it belongs to one hop of one reservation, whose keys have `key_bytes`."""

    def __init__(self, wavelengths: int, wanted_bytes: int, key_bytes: int) -> None:
        self._wavelengths, self._wanted_bytes = wavelengths, wanted_bytes
        self._key_bytes = key_bytes
        self._left_bytes = 0
        self._filled, self._epochs, self._worth_bits = 0.0, 0, inf

    def add(self, sample: LinkSample, lasted_s: float, *, is_noisy: bool) -> Progress:
        """Account for an epoch that lasted so long."""
        filled = lasted_s / sample.block_s
        if filled and (is_noisy or not sample.usable):
            self._begin()
        elif filled:
            self._filled += filled
            self._epochs += 1
            self._worth_bits = min(self._worth_bits, sample.skr_bps * sample.block_s)
        progress = self._filled
        return Progress(progress, self._distil() if progress >= 1 - _ROUNDING else 0)

    def take_bytes(self) -> int:
        """Return the whole keys that this epoch has, and hand them out."""
        taken = min(self._left_bytes, self._wanted_bytes)
        self._left_bytes -= taken
        return taken

    def _begin(self) -> None:
        self._filled, self._epochs, self._worth_bits = 0.0, 0, inf

    def _distil(self) -> int:
        """Return what the block is worth, in bits, and put it to what the last one has left."""
        made_bytes = self._wavelengths * int(self._filled * self._worth_bits / 8)
        wanted_bytes = self._epochs * self._wanted_bytes
        whole_bytes = min(wanted_bytes, made_bytes) // self._key_bytes * self._key_bytes
        self._left_bytes += whole_bytes
        self._begin()
        return 8 * whole_bytes
