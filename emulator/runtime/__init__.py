"""The processes of a run: hosts, clock, journals, identities, transport, and what strikes them.

Nothing here knows what a message means.
"""
