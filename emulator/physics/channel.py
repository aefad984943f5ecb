"""Loss, binary entropy, and the most key that any direct link can give.

A transmittance is the fraction of photons that arrive, without detectors.
"""

import math


def transmittance_from_db(loss_db: float) -> float:
    """Return the fraction of photons that survive a loss in dB."""
    return float(10 ** (-loss_db / 10))


def fiber_transmittance(
    length_km: float, attenuation_db_per_km: float = 0.2, insertion_loss_db: float = 0.0
) -> float:
    """Return the fraction of photons that survive a fiber and its connectors.

    0.2 dB/km is standard single-mode fiber at 1550 nm (ITU-T G.652); ultra-low-loss has 0.16.
    """
    return transmittance_from_db(attenuation_db_per_km * length_km + insertion_loss_db)


def plob_bits_per_use(transmittance: float) -> float:
    """Return the secret-key capacity of a pure-loss channel: no direct link does better.

    K = -log2(1 - eta): Pirandola, Laurenza, Ottaviani, Banchi, Nat. Commun. 8, 15043 (2017).
    A chain of trusted nodes or repeaters has the K of its worst span.
    """
    return math.inf if transmittance >= 1 else -math.log1p(-transmittance) / math.log(2)


def single_repeater_bits_per_use(transmittance: float) -> float:
    """Return the capacity with one perfect repeater in the middle: the bound for twin-field QKD.

    Pirandola, Commun. Phys. 2, 51 (2019); for reference only, no protocol here crosses PLOB.
    """
    return plob_bits_per_use(math.sqrt(transmittance))


def binary_entropy(probability: float) -> float:
    """Return h(x) = -x log2 x - (1 - x) log2(1 - x)."""
    if probability <= 0 or probability >= 1:
        return 0.0
    rest = 1 - probability
    return -probability * math.log2(probability) - rest * math.log2(rest)


def phase_entropy(error: float) -> float:
    """Return the entropy an eavesdropper may have: h up to an error of 1/2, and 1 beyond.

    A bound on an error may pass 1/2, where h would fall again and lend key that is not there.
    """
    return 1.0 if error >= 0.5 else binary_entropy(error)
