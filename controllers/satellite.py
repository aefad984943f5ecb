"""The satellite controller: key from orbit, refused when pass, night or sky forbid it, or when it is spent.

Where orbits are known it keeps the account of every contact: an order takes the first passage that is
expected to make key and of which enough is left, and what it gets is gone from each of its contacts.
Where they are not known, satellites are as the link probe says and never spent.
"""

from __future__ import annotations

from controllers.on_demand import OnDemandConfig, OnDemandController
from controllers.ports import Contact, LinkProbe, LinkSample, Passage, SatelliteView
from protos.core import SATELLITE_CONTROLLER
from protos.mib import MediumCode, OrderRow


class SatelliteController(OnDemandController):
    """Serves two ground stations from one satellite."""

    name = SATELLITE_CONTROLLER
    medium = MediumCode.SATELLITE

    def __init__(
        self, config: OnDemandConfig, probe: LinkProbe, view: SatelliteView | None = None
    ) -> None:
        super().__init__(config, probe)
        self._view = view
        self._spent_bits: dict[Contact, int] = {}

    def take(self, row: OrderRow, now_s: float) -> float | None:
        """Commit to an order; return when its key will be there, or None if it cannot be served."""
        if self._view is None:
            return super().take(row, now_s)
        bits = row.units * self._config.unit_bits
        for passage in self._view.passages(row.source, row.target, now_s):
            if self._is_good(self._view, passage, bits, now_s):
                self._note_offer(row, LinkSample(passage.skr_bps, passage.qber))
                for contact in passage.contacts:
                    self._spent_bits[contact] = self._spent_bits.get(contact, 0) + bits
                return max(passage.ready_s, now_s + self._config.setup_s)
        self._note_offer(row, LinkSample(0.0, 0.0, usable=False))
        return None

    def _is_good(self, view: SatelliteView, passage: Passage, bits: int, now_s: float) -> bool:
        return passage.qber <= self._config.qber_limit and all(
            contact.bits - self._spent_bits.get(contact, 0) >= bits
            and view.is_promised(contact, now_s)
            for contact in passage.contacts
        )
