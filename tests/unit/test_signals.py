"""A signal ends the run in order, wherever it is caught; a second one at once."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from emulator.commands.supervisor import _Signals
from emulator.engines.job import SIGNALS, Interrupted, signals_of_native_code, signals_raise

_INTERRUPTED_AS_IT_LOADS = """
import os, signal, sys

class Interrupt:
    def find_spec(self, name, path=None, target=None):
        if name == "emulator.commands.plan":
            os.kill(os.getpid(), signal.SIGINT)

sys.meta_path.insert(0, Interrupt())
sys.argv = ["qsagin", "check", "tiny"]
from emulator.__main__ import main
main()
"""


def test_an_interrupt_while_modules_are_loaded_ends_a_command_without_a_word() -> None:
    command = [sys.executable, "-c", _INTERRUPTED_AS_IT_LOADS]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout, ended.stderr) == (-signal.SIGINT, "", "")


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_is_raised_and_former_handlers_come_back(number: signal.Signals) -> None:
    before = signal.getsignal(number)

    with pytest.raises(Interrupted) as caught, signals_raise():
        os.kill(os.getpid(), number)

    assert caught.value.number == number
    assert signal.getsignal(number) is before


def test_a_signal_that_native_code_reports_is_the_same_signal() -> None:
    with pytest.raises(Interrupted) as caught, signals_of_native_code():
        raise SystemError("returned a result with an exception set") from Interrupted(15)

    assert caught.value.number == 15


def test_any_other_error_of_native_code_stays_what_it_is() -> None:
    with pytest.raises(SystemError, match="bad call"), signals_of_native_code():
        raise SystemError("bad call")


def test_signals_that_come_together_are_one_wish_and_a_later_one_is_impatient(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now_s = 100.0
    monkeypatch.setattr("emulator.commands.supervisor.time.monotonic", lambda: now_s)
    with _Signals() as signals:
        for _ in range(3):
            os.kill(os.getpid(), signal.SIGTERM)
        assert signals.received == [signal.SIGTERM]
        assert not signals.is_impatient

        now_s += 0.25
        os.kill(os.getpid(), signal.SIGINT)

    assert signals.received == [signal.SIGTERM, signal.SIGINT]
    assert signals.is_impatient
