"""Every protocol under its name: how to evaluate it, on which devices, and what it assumes."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from emulator.input_checks import require_not_negative, require_positive
from emulator.physics import bb84, bb84_finite, bbm92, devices, gg02, mdi, mdi_finite, relay, router
from emulator.physics.channel import fiber_transmittance, plob_bits_per_use


@dataclass(frozen=True)
class FiberSetup:
    """A fiber and a clock, without devices."""

    clock_hz: float = 1e9
    attenuation_db_per_km: float = 0.2
    insertion_loss_db: float = 0.0

    def __post_init__(self) -> None:
        require_positive(self, "clock_hz")
        require_not_negative(self, "attenuation_db_per_km", "insertion_loss_db")


@dataclass(frozen=True)
class Block:
    """What is distilled together: so many sifted bits or symbols, which need so many uses to come in.

    `uses` are infinite where nothing comes in.
    """

    size: float
    uses: float


@dataclass(frozen=True)
class RateOutcome:
    """What one setup achieves at one length.

    `sifted_per_use` are the bits that both ends keep and compare; None where nobody counts errors.
    `block` is None where blocks are endless.
    """

    bits_per_use: float
    uses_hz: float
    qber: float | None
    sifted_per_use: float | None
    transmittance: float
    bound_bits_per_use: float
    block: Block | None = None


@dataclass(frozen=True)
class Protocol:
    """How to evaluate a setup, on which devices (the first is the default), and what it assumes.

    `block_field` is the field of the setup that says how large blocks are; empty: they are endless.
    """

    evaluate: Callable[[Any, float], RateOutcome]
    devices: Mapping[str, devices.Device[Any]]
    assumptions: tuple[str, ...]
    block_field: str = ""


def _fiber(setup: Any, length_km: float) -> float:
    return fiber_transmittance(length_km, setup.attenuation_db_per_km, setup.insertion_loss_db)


def _direct(
    setup: Any,
    length_km: float,
    bits_per_use: float,
    qber: float | None = None,
    sifted: float | None = None,
) -> RateOutcome:
    """Return the outcome of a protocol whose only limit is the whole fiber."""
    eta = _fiber(setup, length_km)
    return RateOutcome(bits_per_use, setup.clock_hz, qber, sifted, eta, plob_bits_per_use(eta))


def _in_blocks(outcome: RateOutcome, size: float, gain: float, endless: float) -> RateOutcome:
    """Return an outcome of blocks that so many bits or symbols per use fill.

    No block is worth more than the same protocol concedes without an end (`endless`, per use): finite
    keys are taken from all intensities, endless ones from the signal alone.
    """
    block = Block(size, size / gain if gain > 0 else math.inf)
    return replace(outcome, bits_per_use=min(outcome.bits_per_use, endless), block=block)


def _decoy(rate: Callable[[Any, float], bb84.DecoyRate]) -> Callable[[Any, float], RateOutcome]:
    def evaluate(setup: bb84.Bb84Setup, length_km: float) -> RateOutcome:
        eta = _fiber(setup, length_km)
        result, sifted = rate(setup, eta), bb84.sifted_gain(setup, eta)
        return _direct(setup, length_km, result.bits_per_pulse, result.qber, sifted)

    return evaluate


def _decoy_finite(
    rate: Callable[[Any, float], bb84.DecoyRate],
    sent: Callable[[bb84_finite.FiniteSetup], bb84_finite.Intensities],
    endless: Callable[[Any, float], bb84.DecoyRate],
) -> Callable[[Any, float], RateOutcome]:
    def evaluate(setup: bb84_finite.FiniteSetup, length_km: float) -> RateOutcome:
        eta = _fiber(setup, length_km)
        result, sifted = rate(setup, eta), bb84_finite.sifted_gain(setup, eta, sent(setup))
        outcome = _direct(setup, length_km, result.bits_per_pulse, result.qber, sifted)
        return _in_blocks(outcome, setup.block_bits, sifted, endless(setup, eta).bits_per_pulse)

    return evaluate


def _gaussian(rate: Callable[[Any, float], float]) -> Callable[[Any, float], RateOutcome]:
    def evaluate(setup: gg02.Gg02Setup, length_km: float) -> RateOutcome:
        return _direct(setup, length_km, rate(setup, _fiber(setup, length_km)))

    return evaluate


def _gaussian_finite(setup: gg02.FiniteGg02Setup, length_km: float) -> RateOutcome:
    eta = _fiber(setup, length_km)
    outcome = _direct(setup, length_km, gg02.finite_rate(setup, eta))
    return _in_blocks(outcome, setup.block_symbols, 1.0, gg02.rate(setup, eta))


def _mdi(setup: mdi.MdiSetup, length_km: float) -> RateOutcome:
    result = mdi.rate(setup, length_km)
    sifted = mdi.gains(setup, *mdi.arm_efficiencies(setup, length_km)).z_gain
    return _direct(setup, length_km, result.bits_per_pair, result.qber, sifted)


def _mdi_finite(setup: mdi_finite.FiniteMdiSetup, length_km: float) -> RateOutcome:
    result = mdi_finite.rate(setup, length_km)
    sifted = mdi_finite.sifted_gain(setup, *mdi.arm_efficiencies(setup, length_km))
    outcome = _direct(setup, length_km, result.bits_per_pair, result.qber, sifted)
    endless = mdi.rate(setup, length_km).bits_per_pair
    return _in_blocks(outcome, setup.block_bits, sifted, endless)


def _pulsed(setup: bbm92.PulsedSetup, length_km: float) -> RateOutcome:
    result = bbm92.pulsed_rate(setup, *bbm92.arms(setup, length_km))
    sifted = setup.sifting * result.coincidences
    return _direct(setup, length_km, result.secret_bits, result.qber, sifted)


def _continuous(setup: bbm92.ContinuousSetup, length_km: float) -> RateOutcome:
    result = bbm92.continuous_rate(setup, *bbm92.arms(setup, length_km))
    secret, sifted = result.secret_bits, setup.sifting * result.coincidences
    clock_hz = setup.clock_hz
    return _direct(setup, length_km, secret / clock_hz, result.qber, sifted / clock_hz)


def _chain(setup: relay.ChainSetup, length_km: float) -> RateOutcome:
    result, span = relay.chain_rate(setup, length_km)
    spans = relay.span_count(length_km, setup.span_km)
    bound = relay.chain_bound_bits_per_use([span])
    qber = result.qber  # of one span: relays correct errors before they forward
    sifted = bb84.sifted_gain(setup, span)
    return RateOutcome(result.bits_per_pulse, setup.clock_hz, qber, sifted, span**spans, bound)


def _router(setup: router.RouterSetup, length_km: float) -> RateOutcome:
    link_km = length_km / (setup.routers + 1)
    link = _fiber(setup, link_km)
    uses_hz = setup.memories / router.attempt_s(setup, link_km)
    result = router.chain(setup, length_km)
    return RateOutcome(
        result.skr_bps / uses_hz,
        uses_hz,
        result.qber,
        setup.sifting * result.pairs_hz / uses_hz,
        link ** (setup.routers + 1),
        plob_bits_per_use(link),
    )


def _plob(setup: FiberSetup, length_km: float) -> RateOutcome:
    return _direct(setup, length_km, plob_bits_per_use(_fiber(setup, length_km)))


_FIBER = {"fiber": devices.Device("fiber", FiberSetup(), "ITU-T G.652 fiber; 1 GHz assumed")}
_ASYMPTOTIC = "asymptotic key: blocks of infinite length"
_FINITE = "finite key: every block holds what the model expects"

PROTOCOLS: dict[str, Protocol] = {
    "bb84": Protocol(
        _decoy(bb84.vacuum_weak_rate),
        devices.BB84_DEVICES,
        (_ASYMPTOTIC, "two decoys, the weaker (nearly) vacuum: Ma et al. 2005"),
    ),
    "bb84-infinite": Protocol(
        _decoy(bb84.infinite_decoy_rate),
        devices.BB84_DEVICES,
        (_ASYMPTOTIC, "infinitely many decoys, for reference: Ma et al. 2005"),
    ),
    "bb84-one-decoy": Protocol(
        _decoy(bb84.one_decoy_rate),
        devices.BB84_DEVICES,
        (_ASYMPTOTIC, "one decoy: Ma et al. 2005"),
    ),
    "bb84-finite": Protocol(
        _decoy_finite(bb84_finite.two_decoy_rate, bb84_finite.two_decoys, bb84.vacuum_weak_rate),
        devices.BB84_FINITE_DEVICES,
        (_FINITE, "two decoys: Lim et al. 2014; its sampling bound is approximate"),
        "block_bits",
    ),
    "bb84-one-decoy-finite": Protocol(
        _decoy_finite(bb84_finite.one_decoy_rate, bb84_finite.one_decoy, bb84.one_decoy_rate),
        devices.BB84_ONE_DECOY_FINITE_DEVICES,
        (_FINITE, "one decoy: Rusca et al. 2018; its sampling bound is approximate"),
        "block_bits",
    ),
    "mdi": Protocol(
        _mdi,
        devices.MDI_DEVICES,
        (_ASYMPTOTIC, "infinitely many decoys; untrusted relay on the fiber: Lo, Curty, Qi 2012"),
    ),
    "mdi-finite": Protocol(
        _mdi_finite,
        devices.MDI_FINITE_DEVICES,
        (
            _FINITE,
            "two decoys: Xu et al. 2013, Chernoff bounds: Curty et al. 2014; sampling is approximate",
        ),
        "block_bits",
    ),
    "gg02": Protocol(
        _gaussian(gg02.rate),
        devices.GG02_DEVICES,
        (_ASYMPTOTIC, "collective attacks, trusted receiver noise: Lodewyck et al. 2007"),
    ),
    "gg02-finite": Protocol(
        _gaussian_finite,
        devices.GG02_FINITE_DEVICES,
        (_FINITE, "collective attacks, worst channel within 6.5 sigma: Leverrier et al. 2010"),
        "block_symbols",
    ),
    "bbm92": Protocol(
        _pulsed,
        devices.BBM92_DEVICES,
        (_ASYMPTOTIC, "pulsed pair source on the fiber, untrusted: Ma, Fung, Lo 2007"),
    ),
    "bbm92-cw": Protocol(
        _continuous,
        devices.BBM92_CONTINUOUS_DEVICES,
        (_ASYMPTOTIC, "continuous pair source on the fiber; no dead time: Neumann et al. 2021"),
    ),
    "relay": Protocol(
        _chain,
        devices.CHAIN_DEVICES,
        (_ASYMPTOTIC, "trusted relays between decoy-BB84 spans; QBER and bound are of one span"),
    ),
    "router": Protocol(
        _router,
        devices.ROUTER_DEVICES,
        (_ASYMPTOTIC, "swap once all links hold a pair; bound is of one link, a memory attempt"),
    ),
    "plob": Protocol(
        _plob, _FIBER, ("capacity of the fiber: no direct protocol exceeds it", "no device losses")
    ),
}
