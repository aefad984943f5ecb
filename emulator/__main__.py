"""`python -m emulator` is `qsagin`."""

from emulator.cli import main

main()
