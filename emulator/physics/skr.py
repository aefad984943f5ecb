"""One key rate: a protocol, a device, a length of fiber, and what was assumed.

`secret_key_rate` is the only door; the protocols themselves are in the modules beside this one.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from types import MappingProxyType
from typing import Any, TypeVar

from emulator.input_checks import ParameterError
from emulator.physics.eavesdropping import under_interception
from emulator.physics.protocols import PROTOCOLS, RateOutcome
from emulator.physics.raman import Band, Coexistence, lit

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
    sifted_bps: float | None  # bits in which these errors are; None as above
    transmittance: float  # of the fiber, end to end, without detectors
    bits_per_use: float
    bound_bps: float  # PLOB at this clock; infinite without loss
    assumptions: tuple[str, ...]
    block_bits: float | None = None  # sifted bits, for GG02 symbols, of a block; None: endless
    block_s: float | None = None  # until a block is full; None: endless, or nothing comes in


def secret_key_rate(
    protocol: str,
    length_km: float,
    device: str | None = None,
    overrides: Mapping[str, float] = _NONE,
    intercepted: float = 0.0,
    *,
    extra_loss_db: float = 0.0,
    coexistence: Coexistence | None = None,
) -> KeyRate:
    """Return the secret-key rate of one fiber link.

    `overrides` replace fields of the device's setup; `intercepted` is the share of
    pulses that somebody measures and sends on (see `emulator.physics.eavesdropping`); `extra_loss_db` comes
    on top of what fiber and connectors lose; `coexistence` are the classical channels of the same fiber.
    Raises ParameterError for an unknown protocol, device or field, or a value out of range.
    """
    chosen = _one_of("protocol", protocol, PROTOCOLS)
    preset = _one_of("device", device or next(iter(chosen.devices)), chosen.devices)
    if not 0 <= length_km < math.inf:
        raise ParameterError("length_km", f"must be zero or more, not {length_km}")
    try:
        setup = _dimmed(_overridden(preset.setup, overrides), extra_loss_db)
        if coexistence is not None:
            setup = lit(_in_band(setup, overrides, coexistence), length_km, coexistence)
        outcome = chosen.evaluate(under_interception(setup, intercepted), length_km)
    except ParameterError:
        raise
    except (ArithmeticError, ValueError) as error:
        problem = f"cannot be computed with ({error}); give values that devices have"
        raise ParameterError(", ".join(overrides) or "length_km", problem) from error
    if math.isnan(outcome.bits_per_use * outcome.uses_hz):
        problem = "give no rate at all; give values that devices have"
        raise ParameterError(", ".join(overrides) or "length_km", problem)
    changed = tuple(f"{field} set to {value:g}" for field, value in overrides.items())
    if intercepted:
        changed += (f"{intercepted:.4g} of the pulses intercepted and sent on",)
    if extra_loss_db:
        changed += (f"{extra_loss_db:g} dB lost on top",)
    if coexistence is not None:
        changed += (coexistence.sentence(),)
    return KeyRate(
        protocol=protocol,
        device=preset.name,
        length_km=length_km,
        skr_bps=outcome.bits_per_use * outcome.uses_hz,
        qber=outcome.qber,
        sifted_bps=_times(outcome.sifted_per_use, outcome.uses_hz),
        transmittance=outcome.transmittance,
        bits_per_use=outcome.bits_per_use,
        bound_bps=outcome.bound_bits_per_use * outcome.uses_hz,
        assumptions=(*chosen.assumptions, f"{preset.name}: {preset.provenance}", *changed),
        block_bits=outcome.block.size if outcome.block else None,
        block_s=_filled_s(outcome),
    )


def protocol_names() -> tuple[str, ...]:
    """Return the names of all protocols."""
    return tuple(PROTOCOLS)


def block_field(protocol: str) -> str:
    """Return the parameter that says how large blocks of a protocol are; empty: endless, or unknown."""
    return PROTOCOLS[protocol].block_field if protocol in PROTOCOLS else ""


def _dimmed(setup: Any, loss_db: float) -> Any:
    if not loss_db:
        return setup
    if not hasattr(setup, "insertion_loss_db"):
        raise ParameterError("loss_db", "its devices are described without insertion loss")
    return replace(setup, insertion_loss_db=setup.insertion_loss_db + loss_db)


def _in_band(setup: Any, overrides: Mapping[str, float], light: Coexistence) -> Any:
    """Return a setup with the attenuation of the quantum channel's band, where another than its own."""
    if light.band is Band.C or "attenuation_db_per_km" in overrides:
        return setup
    return replace(setup, attenuation_db_per_km=light.figures.attenuation_db_per_km)


def _filled_s(outcome: RateOutcome) -> float | None:
    if outcome.block is None:
        return None
    block_s = outcome.block.uses / outcome.uses_hz
    return block_s if block_s < math.inf else None


def _times(bits_per_use: float | None, uses_hz: float) -> float | None:
    return None if bits_per_use is None else bits_per_use * uses_hz


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
