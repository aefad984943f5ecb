"""One key rate: a protocol, a device, a length of fiber, and what was assumed.

`secret_key_rate` is the only door; the protocols themselves are in the modules beside this one.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from types import MappingProxyType
from typing import Any, TypeVar

from emulator.physics import bb84, devices
from emulator.physics.channel import fiber_transmittance, plob_bits_per_use
from emulator.physics.parameters import ParameterError, require_not_negative, require_positive

_Value = TypeVar("_Value")
_NONE: Mapping[str, float] = MappingProxyType({})


@dataclass(frozen=True)
class KeyRate:
    """The secret-key rate of one link, with its ceiling and what it rests on."""

    protocol: str
    device: str
    length_km: float
    skr_bps: float
    qber: float | None  # None where the protocol has no bit errors before reconciliation
    transmittance: float  # of the fiber, end to end, without detectors
    bits_per_use: float
    bound_bps: float  # PLOB at this clock; infinite without loss
    assumptions: tuple[str, ...]


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
class _Outcome:
    """Bits a use and error rate of one setup at one length."""

    bits_per_use: float
    qber: float | None
    transmittance: float
    bound_bits_per_use: float


@dataclass(frozen=True)
class _Protocol:
    """How to evaluate a setup, on which devices (the first is the default), and what it assumes."""

    evaluate: Callable[[Any, float], _Outcome]
    devices: Mapping[str, devices.Device[Any]]
    assumptions: tuple[str, ...]


def secret_key_rate(
    protocol: str,
    length_km: float,
    device: str | None = None,
    overrides: Mapping[str, float] = _NONE,
) -> KeyRate:
    """Return the secret-key rate of one fiber link.

    `overrides` replace fields of the device's setup (see `field_names`).
    Raises ParameterError for an unknown protocol, device or field, or a value out of range.
    """
    chosen = _one_of("protocol", protocol, _PROTOCOLS)
    preset = _one_of("device", device or next(iter(chosen.devices)), chosen.devices)
    if not 0 <= length_km < math.inf:
        raise ParameterError("length_km", f"must be zero or more, not {length_km}")
    setup = _overridden(preset.setup, overrides)
    outcome = chosen.evaluate(setup, length_km)
    changed = tuple(f"{field} set to {value:g}" for field, value in overrides.items())
    return KeyRate(
        protocol=protocol,
        device=preset.name,
        length_km=length_km,
        skr_bps=outcome.bits_per_use * setup.clock_hz,
        qber=outcome.qber,
        transmittance=outcome.transmittance,
        bits_per_use=outcome.bits_per_use,
        bound_bps=outcome.bound_bits_per_use * setup.clock_hz,
        assumptions=(*chosen.assumptions, f"{preset.name}: {preset.provenance}", *changed),
    )


def protocol_names() -> tuple[str, ...]:
    """Return the names of all protocols."""
    return tuple(_PROTOCOLS)


def device_names(protocol: str) -> tuple[str, ...]:
    """Return the devices of a protocol, the default first."""
    return tuple(_one_of("protocol", protocol, _PROTOCOLS).devices)


def field_names(protocol: str) -> tuple[str, ...]:
    """Return the fields that `overrides` may set for a protocol."""
    chosen = _one_of("protocol", protocol, _PROTOCOLS)
    return tuple(field.name for field in fields(next(iter(chosen.devices.values())).setup))


def _overridden(setup: Any, overrides: Mapping[str, float]) -> Any:
    kinds = {field.name: field.type for field in fields(setup)}
    values: dict[str, float] = {}
    for name, value in overrides.items():
        _one_of(name, name, kinds)
        whole = kinds[name] in (int, bool)
        if whole and value != int(value):
            raise ParameterError(name, f"must be a whole number, not {value}")
        values[name] = int(value) if whole else float(value)
    return replace(setup, **values)


def _one_of(field: str, name: str, known: Mapping[str, _Value]) -> _Value:
    if name not in known:
        raise ParameterError(field, f"{name!r} is unknown; known are {', '.join(known)}")
    return known[name]


def _fiber(setup: Any, length_km: float) -> float:
    return fiber_transmittance(length_km, setup.attenuation_db_per_km, setup.insertion_loss_db)


def _decoy(
    rate: Callable[[bb84.Bb84Setup, float], bb84.DecoyRate],
) -> Callable[[bb84.Bb84Setup, float], _Outcome]:
    def evaluate(setup: bb84.Bb84Setup, length_km: float) -> _Outcome:
        eta = _fiber(setup, length_km)
        result = rate(setup, eta)
        return _Outcome(result.bits_per_pulse, result.qber, eta, plob_bits_per_use(eta))

    return evaluate


def _plob(setup: FiberSetup, length_km: float) -> _Outcome:
    eta = _fiber(setup, length_km)
    bound = plob_bits_per_use(eta)
    return _Outcome(bound, None, eta, bound)


_FIBER = {"fiber": devices.Device("fiber", FiberSetup(), "ITU-T G.652 fiber; 1 GHz assumed")}

_PROTOCOLS: dict[str, _Protocol] = {
    "bb84": _Protocol(
        _decoy(bb84.vacuum_weak_rate),
        devices.BB84_DEVICES,
        ("asymptotic key", "two decoys, the weaker (nearly) vacuum: Ma et al. 2005"),
    ),
    "bb84-infinite": _Protocol(
        _decoy(bb84.infinite_decoy_rate),
        devices.BB84_DEVICES,
        ("asymptotic key", "infinitely many decoys, for reference: Ma et al. 2005"),
    ),
    "bb84-one-decoy": _Protocol(
        _decoy(bb84.one_decoy_rate),
        devices.BB84_DEVICES,
        ("asymptotic key", "one decoy: Ma et al. 2005"),
    ),
    "plob": _Protocol(
        _plob, _FIBER, ("capacity of the fiber: no direct protocol exceeds it; no device left in",)
    ),
}
