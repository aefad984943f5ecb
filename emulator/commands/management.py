"""Options of a run that concern SNMP: checked before anything is started."""

from __future__ import annotations

import socket

from emulator.commands.options import UsageError, require_free_port
from emulator.config.experiment import Experiment


def snmp_port_of(experiment: Experiment, port: int | None) -> int | None:
    """Return the port of the SNMP engine, if one is wanted and possible."""
    if port is None:
        return None
    from emulator.build.snmp_users import users_of

    _require_pysnmp("--snmp-port")
    users_of(experiment)
    require_free_port(port, "--snmp-port", datagrams=True)
    return port


def trap_target(
    experiment: Experiment, target: str | None, *, volatile: bool
) -> tuple[str, int] | None:
    """Return the address and port to which notifications go, if they are wanted and possible."""
    if target is None:
        return None
    from emulator.build.snmp_users import notifying_user

    _require_pysnmp("--trap-to")
    if volatile:
        raise UsageError("--trap-to", "reads the journal of the run; leave out --volatile")
    host, _, port = target.rpartition(":")
    if not (host and port.isdecimal() and 0 < int(port) < 2**16):
        raise UsageError("--trap-to", f"must be HOST:PORT, as in 127.0.0.1:162, not {target}")
    try:
        found = socket.getaddrinfo(host, int(port), socket.AF_INET, socket.SOCK_DGRAM)
    except OSError as error:
        raise UsageError("--trap-to", f"no IPv4 address of {host}: {error.strerror}") from error
    address = str(found[0][4][0])
    notifying_user(experiment, address)
    return address, int(port)


def _require_pysnmp(option: str) -> None:
    from emulator.management.opening import is_installed

    if not is_installed():
        raise UsageError(option, "pysnmp is not installed; pip install 'qsagin[snmp]'")
