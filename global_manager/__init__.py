"""The global manager: plans before demand is known, buys recourse when it is.

It sees rows of the MIB, prices and distributions.  It does not know how a key is made, which
processes exist, or that the world is emulated.
"""
