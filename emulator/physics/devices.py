"""Published hardware, as presets: every number says where it comes from.

No number is fitted to a published key rate.  Where a paper leaves something open, the provenance
says what was assumed.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Generic, TypeVar

from emulator.physics.bb84 import Bb84Setup
from emulator.physics.bb84_finite import FiniteSetup
from emulator.physics.bbm92 import ContinuousSetup, PulsedSetup
from emulator.physics.gg02 import FiniteGg02Setup, Gg02Setup
from emulator.physics.mdi import MdiSetup
from emulator.physics.mdi_finite import FiniteMdiSetup
from emulator.physics.relay import ChainSetup
from emulator.physics.router import RouterSetup

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

BOARON = Device(
    "boaron",
    Bb84Setup(
        clock_hz=2.5e9,
        receiver_efficiency=0.4,
        background_yield=4.9e-10,
        misalignment=0.005,
        signal_photons=0.49,
        decoy_photons=0.18,
        signal_fraction=0.7,
        decoy_fraction=0.3,
        sifting=0.81,
        dead_time_s=5e-8,
        attenuation_db_per_km=42.7 / 251.7,
    ),
    "Boaron et al., PRL 121, 190502 (2018), Table I at 251.7 km: clock, mu, nu, QBER, fiber, block; "
    "dark counts (0.6 Hz a detector) from the QBER, which grows from 0.5 % at 42.7 dB to 0.7 % at 60.6 dB; "
    "efficiency 0.4, dead time 50 ns, 70 % signals, 90 % key basis, f 1.16 assumed",
)

BB84_DEVICES = _by_name(GYS, T12, BOARON)

_GYS_FINITE = Device(
    "gys",
    FiniteSetup(
        **asdict(GYS.setup)
        | {"decoy_photons": 0.2, "signal_fraction": 0.4, "decoy_fraction": 0.4, "sifting": 0.64}
    ),
    GYS.provenance + "; for finite keys: nu 0.2, 40 % signals, 40 % decoys, 80 % key basis and "
    "blocks of 1e7 bit assumed",
)

BB84_FINITE_DEVICES = _by_name(_GYS_FINITE)

BB84_ONE_DECOY_FINITE_DEVICES = _by_name(
    _GYS_FINITE,
    Device("boaron", FiniteSetup(**asdict(BOARON.setup), block_bits=8.2e6), BOARON.provenance),
)

CHAIN_DEVICES = _by_name(
    *(
        Device(device.name, ChainSetup(**asdict(device.setup)), device.provenance)
        for device in BB84_DEVICES.values()
    )
)

MDI_DEVICES = _by_name(
    Device(
        "lo-curty-qi",
        MdiSetup(
            clock_hz=1e9,
            detector_efficiency=0.145,
            dark_probability=3.01e-6,
            misalignment=0.015,
            photons_a=0.5,
            photons_b=0.5,
        ),
        "detectors of Lo, Curty, Qi, PRL 108, 130503 (2012), after Ursin et al., Nat. Phys. 3, 481 "
        "(2007); mu 0.5 and 1 GHz assumed",
    ),
    Device(
        "rubenok",
        MdiSetup(
            clock_hz=2e6,
            detector_efficiency=0.145,
            dark_probability=1.884e-5,
            misalignment=0.0289,
            photons_a=0.25,
            photons_b=0.25,
            bell_states=1,
        ),
        "Rubenok et al., PRL 111, 130501 (2013): psi- only; 2 MHz, mu 0.25 and f 1.16 assumed",
    ),
)

MDI_FINITE_DEVICES = _by_name(
    *(
        Device(
            device.name,
            FiniteMdiSetup(**asdict(device.setup) | {"photons_a": 0.28, "photons_b": 0.28}),
            device.provenance
            + "; for finite keys blocks of 1e8 bit, and mu 0.28 with decoys and basis "
            "choice that suit them at 50 km",
        )
        for device in MDI_DEVICES.values()
    )
)

LODEWYCK = Device(
    "lodewyck",
    Gg02Setup(
        clock_hz=350e3,
        modulation_variance=18.5,
        excess_noise=0.005,
        detector_efficiency=0.606,
        electronic_noise=0.041,
        reconciliation_efficiency=0.898,
        insertion_loss_db=0.2,
    ),
    "Lodewyck et al., PRA 76, 042305 (2007); 0.2 dB added so that 25 km transmit their 0.302",
)

ZHANG = Device(
    "zhang",
    Gg02Setup(
        clock_hz=5e6,
        modulation_variance=14.12,
        excess_noise=0.0049,
        detector_efficiency=0.6134,
        electronic_noise=0.2411,
        reconciliation_efficiency=0.96,
        frame_error_rate=0.1,
        overhead=0.1,
        attenuation_db_per_km=11.68 / 69.53,
    ),
    "Zhang et al., PRL 125, 010502 (2020), Table I at 69.53 km",
)

GG02_DEVICES = _by_name(LODEWYCK, ZHANG)

GG02_FINITE_DEVICES = _by_name(
    *(
        Device(
            device.name,
            FiniteGg02Setup(**asdict(device.setup)),
            device.provenance + "; blocks of 1e9 symbols, half of them revealed, assumed",
        )
        for device in GG02_DEVICES.values()
    )
)

BBM92_DEVICES = _by_name(
    Device(
        "ma-fung-lo",
        PulsedSetup(
            clock_hz=250e6,
            mean_pairs=0.12,
            efficiency_a=0.145,
            efficiency_b=0.145,
            background_yield_a=6.02e-6,
            background_yield_b=6.02e-6,
            misalignment=0.015,
        ),
        "hardware of Ma, Fung, Lo, PRA 76, 012307 (2007), Table I; 0.12 pairs and 250 MHz assumed",
    ),
)

BBM92_CONTINUOUS_DEVICES = _by_name(
    Device(
        "telecom-pairs",
        ContinuousSetup(
            pair_rate_hz=1e7,
            coincidence_window_s=3e-10,
            efficiency_a=0.2,
            efficiency_b=0.2,
            dark_rate_a_hz=300.0,
            dark_rate_b_hz=300.0,
            misalignment=0.01,
            window_efficiency=0.9,
        ),
        "a representative source at 1550 nm with superconducting detectors; all values assumed",
    ),
)

ROUTER_DEVICES = _by_name(
    Device("assumed", RouterSetup(memories=100), "no such router exists yet; all values assumed"),
)
