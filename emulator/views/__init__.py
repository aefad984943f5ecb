"""What is made of a run for its readers: ledger, audit, summary, report, page, terminal.

All of it is read from journals; nothing but the progress bar is told by a live actor.
"""
