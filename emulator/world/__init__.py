"""The emulated world: sky, weather, satellites, UAVs, and all that happens to them.

A pure function of seed, schedule and time; nothing here knows actors or messages.
"""
