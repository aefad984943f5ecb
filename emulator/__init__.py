"""The world, and what starts it: physics, experiments, processes, time, results.

The top layer: it may import everything, and nothing imports it.
"""
