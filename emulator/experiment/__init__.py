"""Experiment files: every field as a frozen type, read and checked once, with networks.

To check one it asks `emulator.parts` what can be built of it; nothing is started.
"""
