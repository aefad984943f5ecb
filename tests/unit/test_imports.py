"""What every actor of a run loads before it knows what it will be."""

from __future__ import annotations

import subprocess
import sys

_HEAVY = ("networkx", "numpy", "pandas", "pulp", "pydantic", "scipy", "starlette", "uvicorn")


def test_an_actor_loads_no_solver_weather_validator_or_web_server_before_it_needs_one() -> None:
    script = f"import sys, emulator.launch; print(*(set(sys.modules) & set({_HEAVY})))"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == []
