"""Chaos experiments: runs disturbed on purpose, and what must hold nevertheless.

Plain functions over run folders, for the Chaos Toolkit, and the experiments that are built in.
"""
