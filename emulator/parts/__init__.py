"""From an experiment to what its parts are told: problem, world, schedule, and the role of every entity.

Everything is derived from the experiment and its seed; nothing is started.
"""
