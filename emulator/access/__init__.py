"""Keys for applications outside the network: the interface of ETSI GS QKD 014, as server and as client.

`Client` is for programs that take keys.  The server is part of a run that was started with `--keys`.
"""

from emulator.access.client import AccessError, Client, Key

__all__ = ["AccessError", "Client", "Key"]
