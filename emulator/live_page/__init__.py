"""The live page: a process of its own that shows a run, live or ended, to browsers on this machine.

It reads what the run has committed to its journals and asks the world, a pure function, for all else; it
writes nothing and knows no key.  A fault that a viewer injects (`forms`) goes the way of `qsagin inject`.
`following` reads, `state` adds up, `scenery` asks the world, `feed` tells all viewers, `server` serves,
`attached` ties the process to a run.
"""
