"""`python -m emulator` is `qsagin`."""

from emulator.cli import main

if __name__ == "__main__":  # workers of a sweep import this
    main()
