"""Sixteen SAEs take keys while processes are lost two hundred times; their history is judged afterwards.

Each client takes a key, and its copy at the other node, and asks again whenever it is not answered.  What
it was answered is its history.  Whatever is lost when: nobody gets a key twice, the ends have the same one,
and whoever has got a key at one end can have it at the other.
"""

from __future__ import annotations

import asyncio
import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from http.client import HTTPException
from pathlib import Path
from typing import Any

import pytest
from doors import NetworkWithDoors, write_experiment
from live_network import within

from emulator.access import AccessError, Client, Key
from emulator.results import sae_keys
from emulator.results.audit import audit

pytestmark = pytest.mark.system
CLIENTS = 16
KILLS = 200
SEED = 7


@dataclass
class History:
    """What all clients were answered."""

    given: list[Key] = field(default_factory=list)
    taken: list[Key] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    unanswered: Counter[str] = field(default_factory=Counter)


class Clients:
    """Clients in threads, until they are told to end; each then still takes what it has begun to take."""

    def __init__(self, network: NetworkWithDoors) -> None:
        self._network = network
        self.history = History()
        self.ended = threading.Event()

    def threads(self) -> list[threading.Thread]:
        """Return clients that have not begun."""
        saes = ("alice", "carol")
        pairs = [tuple(self._network.client(sae) for sae in saes) for _ in range(CLIENTS)]
        return [threading.Thread(target=self._run, args=pair) for pair in pairs]

    def _run(self, alice: Client, carol: Client) -> None:
        """Take one key after the other."""
        while not self.ended.is_set():
            keys = self._until("enc_keys", lambda: alice.enc_keys("carol"), give_up=True)
            for key in keys or ():
                self.history.given.append(key)
                name = [key.id]
                copies = self._until("dec_keys", lambda name=name: carol.dec_keys("alice", name))
                self.history.taken += copies or ()

    def _until(
        self, method: str, call: Callable[[], list[Key]], *, give_up: bool = False
    ) -> list[Key] | None:
        """Ask until there is an answer, as an application would."""
        ends_s = time.monotonic() + 60
        while time.monotonic() < ends_s:
            try:
                return call()
            except (OSError, HTTPException):
                self.history.unanswered[method] += 1
            except AccessError as error:
                if error.status != 503:
                    self.history.wrong.append(f"{method}: {error}")
                    return None
            if give_up and self.ended.is_set():
                return None
            time.sleep(0.02)
        self.history.wrong.append(f"{method}: no answer for a minute")
        return None


async def _lose(network: NetworkWithDoors, name: str) -> None:
    await network.lose(name)
    await network.bring_up(name)


@pytest.mark.timeout(900)
def test_no_key_is_given_twice_and_none_is_lost_whoever_is_killed_when(tmp_path: Path) -> None:
    network = NetworkWithDoors(tmp_path / "run", 3, write_experiment(tmp_path, periods=600))
    clients = Clients(network)

    def work(loop: asyncio.AbstractEventLoop) -> None:
        chance = random.Random(SEED)
        threads = clients.threads()
        for thread in threads:
            thread.start()
        for _ in range(KILLS):
            time.sleep(chance.uniform(0.02, 0.4))
            name = chance.choice(sorted(network.doors))
            done: Future[Any] = asyncio.run_coroutine_threadsafe(_lose(network, name), loop)
            done.result(60)
        clients.ended.set()
        for thread in threads:
            thread.join(90)
            assert not thread.is_alive()

    async def whole() -> None:
        loop = asyncio.get_running_loop()
        await network.during(lambda: work(loop))

    within(800, whole())
    history = clients.history
    print(f"{len(history.given)} keys, {dict(history.unanswered)} calls without an answer")
    assert history.wrong == []
    assert len(history.given) > KILLS
    assert history.unanswered["enc_keys"] > 10
    assert history.unanswered["dec_keys"] > 10
    assert max(Counter(key.id for key in history.given).values()) == 1
    assert max(Counter(key.id for key in history.taken).values()) == 1
    assert {key.id: key.key for key in history.taken} == {key.id: key.key for key in history.given}
    assert len({key.key for key in history.given}) == len(history.given)
    assert audit(tmp_path / "run").ok
    assert sae_keys.problems(tmp_path / "run") == []
