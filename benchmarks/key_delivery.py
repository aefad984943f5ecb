"""How many keys SAEs can take from a run, and how long a call takes: `python benchmarks/key_delivery.py`.

A run of three nodes in two processes, with windows of 50 ms in real time, serves pairs of SAEs; each client
takes a key at one node and its copy at the other, over one connection each.  Clients are threads of
processes on the same machine, so what they need of its cores is in the figures too.

Each call takes about one window, and a client makes one after the other, two per pair.  So clients that
take one key a call get at most clients / (2 * window) pairs per second, 320 for 32 clients, however fast
doors are.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import yaml

from emulator.access import AccessError, Client
from emulator.access.certificates import AccessAuthority, write_credentials

WINDOW_S = 0.05
EXPERIMENT: dict[str, Any] = {
    "name": "key-delivery",
    "network": {"topology": "links.csv", "wavelengths": 6_000},
    "demand": {
        "periods": 600,
        "period_s": 1,
        "scenarios": 1_900,
        "distribution": {"poisson": {"mean_units": 1_500}},
        "requests": [{"id": "r", "class": "external", "source": "A", "target": "C"}],
    },
    "access": {"saes": [{"id": "alice", "node": "A"}, {"id": "carol", "node": "C"}]},
    "clock": {"window_s": WINDOW_S},
}


def take(url: dict[str, str], pem: dict[str, list[str]], number: int, for_s: float) -> list[Any]:
    """Take keys at both ends until the time is over; return (seconds of enc_keys, of dec_keys) by pair."""
    alice, carol = (Client(url[sae], *pem[sae]) for sae in ("alice", "carol"))
    times, ends_s = [], time.monotonic() + for_s
    while time.monotonic() < ends_s:
        began_s = time.perf_counter()
        try:
            keys = alice.enc_keys("carol", number)
        except AccessError:
            times.append((time.perf_counter() - began_s, -1.0))
            continue
        between_s = time.perf_counter()
        copies = carol.dec_keys("alice", [key.id for key in keys])
        times.append((between_s - began_s, time.perf_counter() - between_s))
        if copies != keys:
            raise SystemExit("the two ends have different keys")
    return times


def client(arguments: tuple[Any, ...]) -> list[Any]:
    """Take keys in several threads."""
    *what, threads = arguments
    found: list[Any] = []
    workers = [threading.Thread(target=lambda: found.extend(take(*what))) for _ in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return found


def main() -> None:
    """Measure, and print a line per number of keys in a call."""
    options = argparse.ArgumentParser()
    options.add_argument("--clients", type=int, default=32)
    options.add_argument("--for-s", type=float, default=10.0)
    options.add_argument("--numbers", type=int, nargs="+", default=[1, 8, 64])
    given = options.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        (folder / "links.csv").write_text("source,target,length_km\nA,B,20\nB,C,20\n")
        (folder / "e.yaml").write_text(yaml.safe_dump(EXPERIMENT))
        words = ["run", str(folder / "e.yaml"), "--out", str(folder / "run"), "--keys"]
        words += ["--pace", "realtime", "--hosts", "2"]
        run = subprocess.Popen(
            [sys.executable, "-m", "emulator", *words], stderr=subprocess.DEVNULL
        )
        try:
            measure(folder, given)
        finally:
            run.terminate()
            run.wait()


def measure(folder: Path, given: argparse.Namespace) -> None:
    """Wait for the run, and take keys."""
    access = folder / "run" / "access.json"
    while not access.exists():
        time.sleep(0.1)
    found, authority = json.loads(access.read_text()), AccessAuthority.of(folder / "run")
    url = {sae: found["nodes"][found["saes"][sae]["node"]]["url"] for sae in ("alice", "carol")}
    pem = {}
    for sae in url:
        write_credentials(folder / sae, authority.sae(sae), authority.certificate)
        pem[sae] = [str(folder / sae / name) for name in ("certificate.pem", "key.pem", "ca.pem")]
    time.sleep(5)  # until the first period
    processes = 2
    with multiprocessing.get_context("spawn").Pool(processes) as pool:
        for number in given.numbers:
            share = (url, pem, number, given.for_s, given.clients // processes)
            began_s = time.monotonic()
            times = list(chain.from_iterable(pool.map(client, [share] * processes)))
            _tell(number, times, time.monotonic() - began_s)


def _tell(number: int, times: Sequence[tuple[float, float]], took_s: float) -> None:
    good = [pair for pair in times if pair[1] >= 0]
    enc, dec = ([pair[index] for pair in good] for index in (0, 1))
    pairs = f"{number} keys a call: {number * len(good) / took_s:.0f} pairs/s"
    print(f"{pairs}; {len(times) - len(good)} calls without enough key", flush=True)
    print(f"  enc_keys {_quantiles(enc)}; dec_keys {_quantiles(dec)}", flush=True)


def _quantiles(seconds: list[float]) -> str:
    ordered = sorted(seconds) or [0.0]
    return ", ".join(
        f"p{100 * q:.0f} {1000 * ordered[min(len(ordered) - 1, int(q * len(ordered)))]:.0f} ms"
        for q in (0.5, 0.99)
    )


if __name__ == "__main__":
    main()
