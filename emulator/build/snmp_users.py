"""Who may look at a run by SNMP, with the pass phrases that prove it.

Pass phrases come from files or the environment when a run starts, and are in no file that it writes.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path

from emulator.config.access import SnmpUser
from emulator.config.experiment import Experiment
from emulator.input_checks import BadInputError
from protos.mib import AccessRole

LEAST_CHARACTERS = 8
"""Of a pass phrase: RFC 3414, section 11.2."""


class SnmpUserError(BadInputError):
    """A user of SNMP cannot be served."""

    def __init__(self, where: str, problem: str) -> None:
        super().__init__(where, problem)
        self.where, self.problem = where, problem

    def __str__(self) -> str:
        return f"{self.where}: {self.problem}"


@dataclass(frozen=True)
class User:
    """One user of SNMPv3, ready to be served."""

    name: str
    role: AccessRole
    authentication: str
    authentication_secret: str = field(repr=False)
    privacy_secret: str = field(repr=False)


@dataclass(frozen=True)
class SnmpUsers:
    """Everybody who may look; `communities` are v2c."""

    users: tuple[User, ...]
    communities: tuple[tuple[str, AccessRole], ...]


def with_snmp_secrets_found(experiment: Experiment, folder: Path) -> Experiment:
    """Return the experiment with the paths from here of files with pass phrases."""
    section = experiment.access
    if section is None or section.snmp is None:
        return experiment
    users = [
        user
        if user.secrets is None
        else user.model_copy(update={"secrets": _absolute(folder, user.secrets)})
        for user in section.snmp.users
    ]
    snmp = section.snmp.model_copy(update={"users": users})
    return experiment.model_copy(update={"access": section.model_copy(update={"snmp": snmp})})


def _absolute(folder: Path, path: str) -> str:
    return str((folder / path).resolve())


def users_of(experiment: Experiment) -> SnmpUsers:
    """Return everybody who may look.  Raises `SnmpUserError` if nobody may, or a pass phrase is missing."""
    section = experiment.access.snmp if experiment.access is not None else None
    if section is None or not (section.users or section.communities):
        problem = "names nobody; list users in access.snmp.users, or communities"
        raise SnmpUserError("access.snmp", problem)
    users = tuple(
        User(user.name, user.role, user.authentication, *_secrets(index, user))
        for index, user in enumerate(section.users)
    )
    return SnmpUsers(users, tuple((item.name, item.role) for item in section.communities))


def notifying_user(experiment: Experiment, host: str) -> User | str:
    """Return as whom notifications are sent: the first user who may see all, or such a community.

    A community is for loopback only.  Raises `SnmpUserError`.
    """
    known = users_of(experiment)
    for user in known.users:
        if user.role is AccessRole.MANAGER:
            return user
    communities = [name for name, role in known.communities if role is AccessRole.MANAGER]
    if communities and ip_address(host).is_loopback:
        return communities[0]
    problem = "has no user of the role manager, as whom notifications could be sent"
    raise SnmpUserError("access.snmp.users", problem)


def variables_of(name: str) -> tuple[str, str]:
    """Return the variables of the environment that hold the pass phrases of a user."""
    stem = re.sub("[^A-Z0-9]", "_", name.upper())
    return f"QSAGIN_SNMP_{stem}_AUTH", f"QSAGIN_SNMP_{stem}_PRIV"


def _secrets(index: int, user: SnmpUser) -> tuple[str, str]:
    where = f"access.snmp.users.{index}"
    if user.secrets is not None:
        where = f"{where}.secrets"
        try:
            found = Path(user.secrets).read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise SnmpUserError(where, f"{user.secrets} cannot be read: {error}") from error
        if len(found) != 2:
            problem = f"{user.secrets} must have two lines: authentication, privacy"
            raise SnmpUserError(where, problem)
    else:
        found = list(_from_environment(where, user.name))
    if any(len(secret) < LEAST_CHARACTERS for secret in found):
        problem = f"a pass phrase of {user.name} is shorter than {LEAST_CHARACTERS} characters"
        raise SnmpUserError(where, problem)
    return found[0], found[1]


def _from_environment(where: str, name: str) -> Iterator[str]:
    for variable in variables_of(name):
        if variable not in os.environ:
            problem = f"no pass phrase of {name}: set {variable}, or name a file in `secrets`"
            raise SnmpUserError(where, problem)
        yield os.environ[variable]
