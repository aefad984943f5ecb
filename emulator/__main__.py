"""`qsagin` and `python -m emulator`: an interrupt while modules are loaded ends it without a word.

Python would show where it was.  What a command makes of signals begins with the command; one that is
supervised is begun with signals held back, until here.
"""

import signal


def main() -> None:
    """Run the command line."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, (signal.SIGINT, signal.SIGTERM, signal.SIGHUP))

    from emulator.cli import main as run_command_line

    run_command_line()


if __name__ == "__main__":  # workers of a sweep import this
    main()
