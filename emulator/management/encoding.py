"""Values as pysnmp has them, for whoever answers or notifies."""

from __future__ import annotations

from typing import Any

from pysnmp.entity import config
from pysnmp.proto import rfc1902

from emulator.management.objects import Cell, Type

V2C, USM = 2, 3
"""Security models (RFC 3411)."""
AUTHENTICATION = {
    "sha-256": config.USM_AUTH_HMAC192_SHA256,
    "sha-384": config.USM_AUTH_HMAC256_SHA384,
    "sha-512": config.USM_AUTH_HMAC384_SHA512,
}


def encoded(cell: Cell) -> tuple[Any, Any]:
    """Return a variable."""
    kind = rfc1902.Integer32 if cell.type is Type.INTEGER else getattr(rfc1902, cell.type.smi)
    return rfc1902.ObjectName(cell.name), kind(cell.value)
