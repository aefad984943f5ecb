"""What is said of actors that could not end as they should; Ray is not started."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import ray

from emulator import launch


@pytest.mark.parametrize(
    ("answers", "told"),
    [
        ({"a": None, "b": None}, ""),
        (
            {"a": None, "b": ray.exceptions.GetTimeoutError("too long")},
            "b has not closed its journal: GetTimeoutError: too long",
        ),
        (
            {"a": ray.exceptions.RayError("disk full"), "b": None},
            "a has not closed its journal: RayError: disk full",
        ),
    ],
)
def test_a_host_that_has_not_closed_its_journal_is_named(
    monkeypatch: pytest.MonkeyPatch, answers: dict[str, Exception | None], told: str
) -> None:
    def get(reference: Any, timeout: float) -> None:
        assert timeout == 0
        if (answer := answers[reference]) is not None:
            raise answer

    def actor(name: str) -> Any:
        return SimpleNamespace(stop=SimpleNamespace(remote=lambda: name))

    waited: list[Any] = []
    monkeypatch.setattr(launch.ray, "wait", lambda ends, **_options: waited.extend(ends))
    monkeypatch.setattr(launch.ray, "get", get)
    hosts = {name: actor(name) for name in answers}
    assert launch.Cluster(hosts, actor("clock"), actor("exporter")).stop() == told
    assert sorted(waited) == ["a", "b", "clock", "exporter"]
