"""Measure the outages of a tunnel from outside, by echoes.

`echo` answers at the far end; `watch` asks ten times a second from the near end.  An outage lasts from the
last answer before a silence to the first answer after it.  It is written, as soon as it is over, to
`observed.jsonl` of the run folder, in emulated seconds: those of the last window that the run has done.
"""

from __future__ import annotations

import argparse
import json
import socket
import time
from pathlib import Path

import yaml

from emulator.store import journals

_EVERY_S = 0.1
_SILENT_S = 1.0


def echo(address: tuple[str, int]) -> None:
    """Answer whatever comes, for ever."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as answering:
        answering.bind(address)
        while True:
            answering.sendto(*answering.recvfrom(64))


def watch(address: tuple[str, int], folder: Path, about: dict[str, str]) -> None:
    """Ask for ever, and write down every outage once there has been an answer."""
    fields = yaml.safe_load((folder / "experiment.yaml").read_text(encoding="utf-8"))
    window_s = float(fields["clock"]["window_s"])
    answered_at_s, answered_s = 0.0, 0.0
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        while True:
            if _is_answered(asking, address):
                now_s = journals.last_window(folder) * window_s
                if answered_at_s and time.monotonic() - answered_at_s > _SILENT_S:
                    _write(folder, about | {"from_s": answered_s, "until_s": now_s})
                answered_at_s, answered_s = time.monotonic(), now_s


def _is_answered(asking: socket.socket, address: tuple[str, int]) -> bool:
    """Ask once; return whether any answer came until it is time to ask again."""
    ends_s, answered = time.monotonic() + _EVERY_S, False
    try:
        asking.sendto(b"?", address)
    except OSError:  # no key for the peer
        time.sleep(_EVERY_S)
        return False
    while (left_s := ends_s - time.monotonic()) > 0:
        asking.settimeout(left_s)
        try:
            answered = bool(asking.recv(64))
        except OSError:  # silence
            return answered
    return answered


def _write(folder: Path, outage: dict[str, object]) -> None:
    line = json.dumps(outage)
    with (folder / "observed.jsonl").open("a", encoding="utf-8") as out:
        out.write(line + "\n")
    print(line, flush=True)


def main() -> None:
    """Echo or watch, as the command line says."""
    parser = argparse.ArgumentParser(description="Measure the outages of a tunnel from outside.")
    parser.add_argument("what", choices=["echo", "watch"])
    parser.add_argument("address", metavar="HOST:PORT", help="of the far end, inside of the tunnel")
    parser.add_argument("--run", type=Path, help="run folder (watch)")
    parser.add_argument("--tunnel", default="tunnel", help="what to call it (watch)")
    parser.add_argument("--master", help="SAE of the end that takes new keys (watch)")
    parser.add_argument("--slave", help="SAE of the end that takes copies (watch)")
    told = parser.parse_args()
    host, _, port = told.address.rpartition(":")
    if told.what == "echo":
        echo((host, int(port)))
    if None in (told.run, told.master, told.slave):
        parser.error("watch needs --run, --master and --slave")
    about = {"tunnel": told.tunnel, "master": told.master, "slave": told.slave}
    watch((host, int(port)), told.run, about)


if __name__ == "__main__":
    main()
