"""What provisioning costs, in the paper's monetary units.

`paper` is the table that the paper prints, read per 80-km span: a reserved unit costs one bundle of
devices on every span, and its fiber by length; an on-demand unit costs one bundle on every hop of the
shortest path between its ends, and its UAV or satellite.
Source: M. Xu et al., "Quantum-Secured Space-Air-Ground Integrated Networks", experimental results.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

SPAN_KM = 80.0
UNTRUSTED_FIBERS = 3


@dataclass(frozen=True)
class Prices:
    """The paper's table; all in monetary units, fiber per km.

    `reserved_*` buy one wavelength on one 80-km span for one period; `on_demand_*` one unit on one hop.
    """

    reserved_transmitter: int = 1500
    reserved_receiver: int = 2250
    reserved_local_key_manager: int = 1200
    reserved_security_infrastructure: int = 150
    reserved_mux_demux: int = 300
    reserved_fiber_km: int = 1
    on_demand_transmitter: int = 6000
    on_demand_receiver: int = 9000
    on_demand_secret_key_buffer: int = 3000
    on_demand_security_infrastructure: int = 500
    on_demand_uav: int = 20
    on_demand_satellite: int = 20000

    def reserved_unit(self, length_km: float) -> int:
        """Return the cost of one wavelength on a fiber of this length, for one period."""
        spans = ceil(length_km / SPAN_KM)
        bundle = (
            self.reserved_transmitter
            + self.reserved_receiver
            + self.reserved_local_key_manager
            + self.reserved_security_infrastructure
            + self.reserved_mux_demux
        )
        return spans * bundle + ceil(self.reserved_fiber_km * length_km)

    def reserved_untrusted_unit(self, length_km: float, measuring_sites: int) -> int:
        """Return the same for a link on which no node between its ends is trusted.

        Two transmitters, a receiver and two MUX/DEMUX at each measurement, three fibers; one key
        manager and its security for the whole link.  The counts are assumed.
        """
        site = 2 * self.reserved_transmitter + self.reserved_receiver + 2 * self.reserved_mux_demux
        trusted_end = self.reserved_local_key_manager + self.reserved_security_infrastructure
        fibers = ceil(UNTRUSTED_FIBERS * self.reserved_fiber_km * length_km)
        return measuring_sites * site + trusted_end + fibers

    def uav_unit(self, hops: int, uavs: int | None = None) -> int:
        """Return the cost of one on-demand unit by UAV between nodes this many hops apart.

        It takes one UAV per hop, or as many `uavs` as its chain has.
        """
        uavs = hops if uavs is None else uavs
        return hops * self._on_demand_bundle + uavs * self.on_demand_uav

    def satellite_unit(self, hops: int) -> int:
        """Return the cost of one on-demand unit by satellite between nodes this many hops apart."""
        return hops * (self._on_demand_bundle + self.on_demand_satellite)

    @property
    def _on_demand_bundle(self) -> int:
        return (
            self.on_demand_transmitter
            + self.on_demand_receiver
            + self.on_demand_secret_key_buffer
            + self.on_demand_security_infrastructure
        )
