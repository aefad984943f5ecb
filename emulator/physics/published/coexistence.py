"""Published Raman noise of classical channels beside a quantum channel."""

from __future__ import annotations

from emulator.physics.channel import transmittance_from_db
from emulator.physics.published.point import Point, within
from emulator.physics.raman import Coexistence, Direction, photons_per_mode

_SOURCE = "Kumar, Qin, Alleaume, New J. Phys. 17, 043027 (2015)"
_INPUTS = "0 dBm at 1531.12 nm, 25 km of 0.2 dB/km, 3e-9 /(km nm), add-drop module 0.5 dB"
_KUMAR = Coexistence(launch_dbm=0.0, raman_per_km_nm=3e-9, mux_db=0.5)


def excess_at_receiver(direction: Direction) -> float:
    """Return 2 N behind the demultiplexer, in units of shot noise.

    N in a filter goes with the third power of the wavelength, which is theirs here.
    """
    arriving = photons_per_mode(_KUMAR, 25, 0.2, direction)
    colour = (1531.12e-9 / _KUMAR.figures.wavelength_m) ** 3
    return 2 * arriving * colour * transmittance_from_db(_KUMAR.mux_db)


POINTS = (
    Point(
        "kumar-forward", "Raman noise of a co-propagating channel (shot noise units)", _SOURCE,
        _INPUTS, 1.3e-3, within(0.05), lambda: excess_at_receiver(Direction.FORWARD), {},
    ),
    Point(
        "kumar-backward", "Raman noise of a counter-propagating channel (shot noise units)", _SOURCE,
        _INPUTS, 1.6e-3, within(0.05), lambda: excess_at_receiver(Direction.BACKWARD), {},
    ),
)  # fmt: skip
"""All points of coexistence."""
