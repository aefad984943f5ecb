"""Where servers of a run listen unless they are told otherwise; loads nothing."""

LOOPBACK = "127.0.0.1"
