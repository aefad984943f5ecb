"""The processes of a run: hosts, clock, gRPC services, envelopes, and the faults that strike them.

Nothing here knows what a message means.
"""
