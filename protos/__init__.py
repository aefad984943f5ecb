"""The contract between manager and agents: messages, vocabulary and codec.

Manager and agents share nothing but what is here.  It does not know who sends a message, nor why.
"""
