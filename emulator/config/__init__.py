"""Experiment files as frozen types: the schema of every section, and networks; nothing is derived here."""
