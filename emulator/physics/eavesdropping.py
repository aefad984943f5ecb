"""Intercept and resend: somebody measures a share of the pulses and sends others in their place.

The bases that the thief guesses wrong become errors, like a misalignment that grows, in the key basis
and in the test basis alike.  So the key rate falls by what the protocol's own bounds concede to the
thief.  The thief is taken to keep all counts as they were; devices are not attacked.
"""

from dataclasses import replace
from typing import Any

from emulator.input_checks import ParameterError
from emulator.physics.bb84 import Bb84Setup, intercepted_qber
from emulator.physics.bbm92 import ContinuousSetup, PulsedSetup
from emulator.physics.mdi import MdiSetup
from emulator.physics.router import RouterSetup


def under_interception(setup: Any, share: float) -> Any:
    """Return a setup as it works while that share of its pulses is intercepted.

    Errors grow from E to E + (share / 4)(1 - 2 E).  Raises ParameterError for a setup in which nobody
    counts errors, or for a share that is none.
    """
    if not 0 <= share <= 1:
        raise ParameterError("intercepted", f"must lie between 0 and 1, not {share}")
    match setup:
        case _ if share == 0:
            return setup
        case Bb84Setup() | MdiSetup() | PulsedSetup() | ContinuousSetup():
            return replace(setup, misalignment=intercepted_qber(setup.misalignment, share))
        case RouterSetup():
            # E = (1 - w) / 2, and the chain's w is the product of its links'
            kept = (1 - share / 2) ** (1 / (setup.routers + 1))
            return replace(setup, link_werner=setup.link_werner * kept)
        case _:
            raise ParameterError("intercepted", "this protocol counts no bit errors")
