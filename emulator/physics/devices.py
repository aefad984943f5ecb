"""Published hardware, as presets: every number says where it comes from.

No number is fitted to a published key rate.  Where a paper leaves something open, the provenance
says what was assumed.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

from emulator.physics.bb84 import Bb84Setup

S = TypeVar("S")


@dataclass(frozen=True)
class Device(Generic[S]):
    """The parameters of one published system, and their source."""

    name: str
    setup: S
    provenance: str


def _by_name(*devices: Device[S]) -> Mapping[str, Device[S]]:
    return {device.name: device for device in devices}


GYS = Device(
    "gys",
    Bb84Setup(
        clock_hz=2e6,
        receiver_efficiency=0.045,
        background_yield=1.7e-6,
        misalignment=0.033,
        signal_photons=0.48,
        decoy_photons=0.05,
        ec_efficiency=1.22,
        attenuation_db_per_km=0.21,
    ),
    "Gobby, Yuan, Shields, APL 84, 3762 (2004), as tabulated by Ma et al., PRA 72, 012326 (2005); "
    "mu 0.48 and nu 0.05 from Ma et al.",
)

T12 = Device(
    "t12",
    Bb84Setup(
        clock_hz=1e9,
        receiver_efficiency=0.1065,
        background_yield=2 * 2.1e-5,
        misalignment=0.0130,
        signal_photons=0.425,
        decoy_photons=0.044,
        vacuum_photons=0.001,
        signal_fraction=1 - 2**-7 - 2**-8,
        decoy_fraction=2**-7,
        sifting=(15 / 16) ** 2,
        ec_efficiency=1.16,
        afterpulse_probability=0.0525,
    ),
    "Lucamarini et al., Opt. Express 21, 24550 (2013); receiver efficiency from counts at 50 km, "
    "misalignment from the QBER of 4.26 % after dark counts and afterpulses; f assumed 1.16",
)

BB84_DEVICES = _by_name(GYS, T12)
