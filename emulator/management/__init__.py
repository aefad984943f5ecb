"""SNMP for operators: an engine beside a run, in which every entity is a context.

It looks at entities between two windows.  To look sends no message of the emulated network, notes nothing
and changes nothing, so a run that is looked at is, to the digest, the run that is not.  What operators set
is an input, which the run records.  Notifications of agents are sent on from the run's journal.
"""
