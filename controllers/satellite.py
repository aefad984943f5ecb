"""The satellite controller: key from orbit, refused if pass, night or sky forbid it, or if it is used up.

Where orbits are known it keeps an account of every contact.  An order takes the first passage that is
expected to make key and of which enough is left, and what it gets is gone from each of its contacts.
When the passage is over, the sky has decided: if a contact has made no key, the order has failed, and its
part of the other contact is free for others.
Where orbits are not known, satellites are as the link probe says; they are never used up and never fail.
"""

from __future__ import annotations

from collections import Counter

from controllers.on_demand import OnDemandConfig, OnDemandController
from controllers.ports import Contact, LinkProbe, LinkSample, Passage, SatelliteView
from protos.core import SATELLITE_CONTROLLER, Measure
from protos.mib import OrderRow
from protos.syntax import MediumCode

_WORDS = {True: "clear", False: "cloudy"}


class SatelliteController(OnDemandController):
    """Serves two ground stations from one satellite."""

    name = SATELLITE_CONTROLLER
    medium = MediumCode.SATELLITE

    def __init__(
        self, config: OnDemandConfig, probe: LinkProbe, view: SatelliteView | None = None
    ) -> None:
        super().__init__(config, probe)
        self._view = view
        self._spent_bits: Counter[Contact] = Counter()
        self._taken: dict[int, Passage] = {}
        self._forecasts: dict[Contact, bool] = {}
        self._outcomes: Counter[tuple[bool, bool]] = Counter()

    def take(self, row: OrderRow, now_s: float) -> float | None:
        """Commit to an order; return when its key will be there, or None if it cannot be served."""
        if self._view is None:
            return super().take(row, now_s)
        passage = self._best(self._view, row, now_s)
        if passage is None:
            self._note_offer(row, LinkSample(0.0, 0.0, usable=False))
            return None
        self._note_offer(row, LinkSample(passage.skr_bps, passage.qber))
        self._taken[row.order] = passage
        for contact in passage.contacts:
            self._spent_bits[contact] += self._bits(row)
        return max(passage.ready_s, now_s + self._config.setup_s)

    def conclude(self, row: OrderRow, now_s: float) -> str:  # noqa: ARG002
        """Return why an order whose time is over has brought no key; empty if it has."""
        passage = self._taken.pop(row.order, None)
        if passage is None or self._view is None:
            return ""
        lost = [contact for contact in passage.contacts if not self._view.has_made(contact)]
        if lost:
            for contact in passage.contacts:
                self._spent_bits[contact] -= self._bits(row)
        return "; ".join(f"{item.satellite} made no key over {_names(item)}" for item in lost)

    def measures(self) -> list[Measure]:
        """Return those of every on-demand controller, and forecasts against what came."""
        forecasts = [
            Measure(
                "satellite_forecast_total",
                (("forecast", _WORDS[promised]), ("outcome", _WORDS[made])),
                count,
            )
            for (promised, made), count in sorted(self._outcomes.items())
        ]
        return [*super().measures(), *forecasts]

    def _act(self, now_s: float) -> None:
        if self._view is not None:
            self._verify(self._view, now_s)
        super()._act(now_s)

    def _best(self, view: SatelliteView, row: OrderRow, now_s: float) -> Passage | None:
        """Return the first passage that is good enough, promised, and not spent."""
        for passage in view.passages(row.source, row.target, now_s):
            promises = [view.is_promised(contact, now_s) for contact in passage.contacts]
            for contact, promised in zip(passage.contacts, promises, strict=True):
                self._forecasts.setdefault(contact, promised)
            left = min(item.bits - self._spent_bits[item] for item in passage.contacts)
            good = passage.qber <= self._config.qber_limit
            if good and all(promises) and left >= self._bits(row):
                return passage
        return None

    def _verify(self, view: SatelliteView, now_s: float) -> None:
        """Count the first forecast of every contact that is over, by what came."""
        for contact in [item for item in self._forecasts if item.end_s <= now_s]:
            self._outcomes[self._forecasts.pop(contact), view.has_made(contact)] += 1

    def _bits(self, row: OrderRow) -> int:
        return row.units * self._config.unit_bits


def _names(contact: Contact) -> str:
    return " and ".join(contact.stations)
