"""Identities of the processes of a run, and the connections between them."""
