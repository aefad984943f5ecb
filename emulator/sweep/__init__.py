"""Parameter sweeps: one experiment with some of its fields varied, many runs, one table, one figure."""
