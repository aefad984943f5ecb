"""From an experiment file to what a run is told: reading, checking, and every part that follows from it.

Everything is derived from the experiment, its network and its seed; nothing is started.
"""
