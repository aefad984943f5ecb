"""Chaos experiments: runs disturbed on purpose, and what has to hold all the same.

Plain functions over run folders, for the Chaos Toolkit, and the experiments that are built in.
"""
