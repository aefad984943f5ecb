"""The agents: local key managers and the fiber, satellite and UAV controllers.

Every class here is a core: it is told the time, takes messages and returns messages.  Cores know
no transport, no clock, no chance and no emulation; they ask the world through `controllers.ports`.
"""
