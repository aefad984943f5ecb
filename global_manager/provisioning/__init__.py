"""Two-stage provisioning: how many wavelengths to reserve for whom, on which path and colours.

First stage: reserve wavelengths on fibers before demand is known.  Recourse: buy what is missing
on demand, from a satellite or a UAV, once it is known.  `solve` answers with a `Plan` whose cost
was recomputed from its paths and units, and whose gap is against a proven lower bound.
"""
