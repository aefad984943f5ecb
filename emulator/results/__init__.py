"""Results of a run, read from its journals: ledger, audit, resilience, decisions, links, traces."""
