"""The MIB as an SMIv2 module (RFC 2578), written from `protos.mib`."""

from __future__ import annotations

from dataclasses import fields
from enum import IntEnum

from protos.mib import TABLES, AccessRole, Table
from protos.notifications import NOTIFICATION_TYPES, NOTIFICATIONS, Notification
from protos.syntax import RowStatus, TruthValue

_HEAD = """\
QSAGIN-MIB DEFINITIONS ::= BEGIN

-- Written from protos/mib.py by `make protos`; do not edit.

IMPORTS
    MODULE-IDENTITY, OBJECT-TYPE, NOTIFICATION-TYPE, Integer32, Unsigned32, Counter64, enterprises
        FROM SNMPv2-SMI
    TEXTUAL-CONVENTION, RowStatus, TruthValue, DateAndTime
        FROM SNMPv2-TC
    SnmpAdminString
        FROM SNMP-FRAMEWORK-MIB
    CounterBasedGauge64
        FROM HCNUM-TC
    MODULE-COMPLIANCE, OBJECT-GROUP, NOTIFICATION-GROUP
        FROM SNMPv2-CONF;

qsaginMIB MODULE-IDENTITY
    LAST-UPDATED "202611300900Z"
    ORGANIZATION "qsagin"
    CONTACT-INFO "See the project's README."
    DESCRIPTION "Control plane of an emulated quantum-secured space-air-ground network."
    REVISION "202611300900Z"
    DESCRIPTION "What operators may set: fibers and nodes in service, thresholds, a new plan.
        Enumerations and truth values are called so; qsDeliveryIsSource had 0 for false."
    REVISION "202611300600Z"
    DESCRIPTION "Entities and totals, as a management engine beside a run shows them."
    REVISION "202611300000Z"
    DESCRIPTION "Text is UTF-8, as it always was on the wire; times say how they are shown."
    REVISION "202611290000Z"
    DESCRIPTION "Times and sums have 64 bits, what is numbered on and on 32 without sign."
    REVISION "202611230000Z"
    DESCRIPTION "First version."
    ::= { netSnmpPlaypen 24 }

-- As in NET-SNMP-MIB; the playpen is free for experiments.
netSnmp OBJECT IDENTIFIER ::= { enterprises 8072 }
netSnmpExperimental OBJECT IDENTIFIER ::= { netSnmp 9999 }
netSnmpPlaypen OBJECT IDENTIFIER ::= { netSnmpExperimental 9999 }

qsNotifications OBJECT IDENTIFIER ::= { qsaginMIB 0 }
qsObjects OBJECT IDENTIFIER ::= { qsaginMIB 1 }
qsConformance OBJECT IDENTIFIER ::= { qsaginMIB 2 }
qsNotices OBJECT IDENTIFIER ::= { qsaginMIB 3 }

QsMilliseconds ::= TEXTUAL-CONVENTION
    DISPLAY-HINT "8d"
    STATUS current
    DESCRIPTION "Emulated time in milliseconds since the start: 64 bits, the most significant octet first.
        SMIv2 has no such number that can be written; RFC 6340 writes floating point in the same way."
    SYNTAX OCTET STRING (SIZE (8))
"""


_NOTICES = """\
qsNoticeId OBJECT-TYPE
    SYNTAX SnmpAdminString
    MAX-ACCESS accessible-for-notify
    STATUS current
    DESCRIPTION "The name of a notification: one that is sent again has the same."
    ::= { qsNotices 1 }

qsNoticeEntity OBJECT-TYPE
    SYNTAX SnmpAdminString
    MAX-ACCESS accessible-for-notify
    STATUS current
    DESCRIPTION "The agent whose notification it is: the name of its context."
    ::= { qsNotices 2 }

qsNoticeDate OBJECT-TYPE
    SYNTAX DateAndTime
    MAX-ACCESS accessible-for-notify
    STATUS current
    DESCRIPTION "When the global manager read it, in emulated time."
    ::= { qsNotices 3 }
"""
_CONVENTIONS = (RowStatus, TruthValue)
"""Enumerations that SNMPv2-TC names."""
OWN = [item for item in NOTIFICATION_TYPES if item.root == NOTIFICATIONS]
"""Notifications that other modules do not define."""


def module_text() -> str:
    """Return the whole module."""
    parts = [_HEAD, *map(_table, TABLES), _NOTICES, *map(_notification, OWN), _conformance()]
    return "\n".join(parts) + "\nEND\n"


def _words(text: str | None) -> str:
    return " ".join((text or "").split()).replace('"', "'")


def _syntax(table: Table, field: str) -> str:
    kind = table.enumerations.get(field)
    if kind in _CONVENTIONS:
        return kind.__name__
    if kind is not None:
        named = ", ".join(f"{_camel(item)}({item.value})" for item in kind)
        return f"INTEGER {{ {named} }}"
    syntax = table.syntax[field]
    return f"{syntax.smi} (0..{syntax.most})" if field in table.index else syntax.smi


def _camel(item: IntEnum) -> str:
    first, *others = item.name.lower().split("_")
    return first + "".join(word.capitalize() for word in others)


def _access(table: Table, field: str) -> str:
    if field in table.index:
        return "not-accessible"
    if table.settable:
        return "read-write" if field in table.settable else "read-only"
    return "read-create" if table.writable_by - {AccessRole.OBSERVER} else "read-only"


def _object(name: str, syntax: str, access: str, words: str, tail: str) -> str:
    return (
        f"{name} OBJECT-TYPE\n    SYNTAX {syntax}\n    MAX-ACCESS {access}\n"
        f'    STATUS current\n    DESCRIPTION "{words}"\n{tail}\n'
    )


def _table(table: Table) -> str:
    entry = table.name + "Entry"
    kind = entry[0].upper() + entry[1:]
    words = _words(table.row.__doc__)
    index = ", ".join(table.column_name(field) for field in table.index)
    names = [field.name for field in fields(table.row)]
    sequence = ",\n".join(
        f"    {table.column_name(name)} {_syntax(table, name).split(' ')[0]}" for name in names
    )
    columns = [
        _object(
            table.column_name(name),
            _syntax(table, name),
            _access(table, name),
            _words(name.replace("_", " ")),
            f"    ::= {{ {entry} {place} }}",
        )
        for place, name in enumerate(names, 1)
    ]
    head = _object(
        table.name + "Table",
        f"SEQUENCE OF {kind}",
        "not-accessible",
        words,
        f"    ::= {{ qsObjects {table.arc} }}",
    )
    row = _object(
        entry,
        kind,
        "not-accessible",
        words,
        f"    INDEX {{ {index} }}\n    ::= {{ {table.name}Table 1 }}",
    )
    return "\n".join([head, row, f"{kind} ::= SEQUENCE {{\n{sequence}\n}}\n", *columns])


def _notification(item: Notification) -> str:
    table = next(table for table in TABLES if table.row is item.row)
    objects = ", ".join(table.column_name(name) for name in table.columns)
    return (
        f"{item.name} NOTIFICATION-TYPE\n    OBJECTS {{ {objects} }}\n    STATUS current\n"
        f'    DESCRIPTION "{_words(item.row.__doc__)}"\n    ::= {{ qsNotifications {item.arc} }}\n'
    )


def _conformance() -> str:
    columns = ", ".join(table.column_name(name) for table in TABLES for name in table.columns)
    columns += ", qsNoticeId, qsNoticeEntity, qsNoticeDate"
    kinds = ", ".join(item.name for item in OWN)
    return (
        f"qsObjectGroup OBJECT-GROUP\n    OBJECTS {{ {columns} }}\n    STATUS current\n"
        '    DESCRIPTION "All columns, and what notifications add."\n    ::= { qsConformance 1 }\n\n'
        f"qsNotificationGroup NOTIFICATION-GROUP\n    NOTIFICATIONS {{ {kinds} }}\n"
        '    STATUS current\n    DESCRIPTION "All notifications."\n    ::= { qsConformance 2 }\n\n'
        "qsCompliance MODULE-COMPLIANCE\n    STATUS current\n"
        '    DESCRIPTION "Everything is implemented."\n    MODULE\n'
        "    MANDATORY-GROUPS { qsObjectGroup, qsNotificationGroup }\n"
        "    ::= { qsConformance 3 }\n"
    )
