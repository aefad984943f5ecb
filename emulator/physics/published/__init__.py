"""Published results, what the models make of them, and how far apart the two may be.

A point has a source, inputs, the published value, a tolerance, and a function that computes the same
quantity. Nothing is fitted to a point, and no published value is an input of the device presets that it
judges. Points that need orbits are in `emulator.world.published`.
"""

from emulator.physics.published import coexistence, decoy, free_space, gaussian, pairs, untrusted
from emulator.physics.published.point import Point

POINTS: tuple[Point, ...] = (
    *decoy.POINTS,
    *untrusted.POINTS,
    *gaussian.POINTS,
    *pairs.POINTS,
    *coexistence.POINTS,
    *free_space.POINTS,
)
