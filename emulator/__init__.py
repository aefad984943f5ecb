"""The world, and what starts it: physics, experiments, processes, time, results.

The top layer: it may import everything, and nothing imports it.
"""

import os

# gRPC reads this when it is first imported.  What goes wrong is told in words of our own.
os.environ.setdefault("GRPC_VERBOSITY", "NONE")
