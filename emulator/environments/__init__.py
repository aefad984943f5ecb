"""Environments for learning agents: provisioning as a Gymnasium and as a PettingZoo environment.

Both play an experiment period by period on a model of it (`periods`), which costs what the run costs where
it knows all that happens there, and refuses other experiments.  `provisioning` registers
`qsagin/Provisioning-v0`; `market` has the parallel environment.  Their packages are the extra `gym`;
nothing here is loaded by a run.
"""

from __future__ import annotations


class MissingPackageError(ImportError):
    """An optional package is not installed."""

    def __init__(self, package: str) -> None:
        super().__init__(package)
        self.package = package

    def __str__(self) -> str:
        return f"this environment needs {self.package}: pip install 'qsagin[gym]'"
