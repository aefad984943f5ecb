"""What a run was, read from its journals: ledger, audit, resilience, decisions, links, traces."""
