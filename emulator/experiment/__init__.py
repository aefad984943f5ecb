"""Experiment files: every field as a frozen type, read and checked once, with networks.

Nothing here knows what becomes of an experiment.
"""
