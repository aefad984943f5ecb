"""Reading a network file in whatever form the field writes it, or one of the built-in networks.

The suffix, and for .txt and .xml the content, tells the form; `network_tables`, `network_json`,
`network_markup` and `network_text` know them.  Whatever a parser says becomes a `TopologyError`.  Files are
regular files of bounded size, in UTF-8 unless they are XML.
"""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from emulator.config.network_json import read_json
from emulator.config.network_markup import read_xml
from emulator.config.network_raw import RawNetwork, TopologyError
from emulator.config.network_tables import read_columns, read_edge_list
from emulator.config.network_text import read_gml, read_sndlib

_BUILT_IN_DIR = Path(__file__).parent / "topologies"
_BUILT_IN = {  # name: (links, nodes)
    "usnet": ("usnet.csv", "usnet.nodes.csv"),
    "usnet-ptrnet": ("usnet-ptrnet.csv", "usnet.nodes.csv"),
    "usnet-gcnrnn": ("usnet-gcnrnn.csv", "usnet.nodes.csv"),
    "nsfnet": ("nsfnet.csv", "nsfnet.nodes.csv"),
    "nsfnet-deeprmsa": ("nsfnet-deeprmsa.csv", "nsfnet.nodes.csv"),
    "janos-us": ("janos-us.csv", "janos-us.nodes.csv"),
    "nobel-us": ("nobel-us.csv", "nobel-us.nodes.csv"),
    "germany50": ("germany50.csv", "germany50.nodes.csv"),
    "vienna": ("vienna.csv", "vienna.nodes.csv"),
}
BUILT_IN_NAMES = tuple(_BUILT_IN)

_MOST_BYTES = 64 * 1024 * 1024
_MOST_NODES, _MOST_LINKS = 20_000, 200_000


def read_built_in(name: str) -> RawNetwork:
    """Read the network of that name from the package."""
    links, nodes = (_BUILT_IN_DIR / file for file in _BUILT_IN[name])
    companion = str(nodes), _text(nodes)
    return replace(read_edge_list(str(links), name, _text(links), companion), file=name)


def read_file(path: Path) -> RawNetwork:
    """Read a file in the form its suffix names; raise TopologyError if that fails."""
    reader = _READERS.get(path.suffix.lower())
    if reader is None:
        known = ", ".join(BUILT_IN_NAMES)
        problem = f"neither a built-in network ({known}) nor a file ending in {', '.join(_READERS)}"
        raise TopologyError(str(path), "topology", problem)
    try:
        raw = reader(path)
    except TopologyError:
        raise
    except OSError as error:
        problem = f"cannot be read: {error.strerror or error}"
        raise TopologyError(str(path), "file", problem) from error
    except UnicodeDecodeError as error:
        problem = f"is not UTF-8 text (byte {error.start}); save it as UTF-8"
        raise TopologyError(str(path), "file", problem) from error
    except Exception as error:  # parsers raise many kinds, and all mean the same here
        kind = path.suffix.lower().lstrip(".")
        reason = " ".join(str(error).split()) or type(error).__name__
        problem = f"is not valid {kind}: {reason}; mend the file or export it again"
        raise TopologyError(str(path), "file", problem) from error
    for part, items, most in (("nodes", raw.nodes, _MOST_NODES), ("links", raw.edges, _MOST_LINKS)):
        if len(items) > most:
            raise TopologyError(str(path), part, f"there are {len(items)}; at most {most} are read")
    return raw


def _read_csv(path: Path) -> RawNetwork:
    companion = path.with_name(f"{path.stem}.nodes{path.suffix}")
    nodes = (str(companion), _text(companion)) if companion.exists() else None
    return read_edge_list(str(path), path.stem, _text(path), nodes)


def _read_json(path: Path) -> RawNetwork:
    return read_json(str(path), path.stem, _text(path))


def _read_gml(path: Path) -> RawNetwork:
    return read_gml(str(path), path.stem, _text(path))


def _read_xml(path: Path) -> RawNetwork:
    return read_xml(str(path), path.stem, _content(path))


def _read_txt(path: Path) -> RawNetwork:
    text = _text(path)
    is_sndlib = text.lstrip().startswith("?SNDlib")
    return (read_sndlib if is_sndlib else read_columns)(str(path), path.stem, text)


def _content(path: Path) -> bytes:
    """Return a regular file, unless it is too large."""
    path.stat()
    if not path.is_file():
        raise TopologyError(str(path), "file", "is not a regular file")
    with path.open("rb") as file:
        content = file.read(_MOST_BYTES + 1)
    if len(content) > _MOST_BYTES:
        problem = f"is larger than {_MOST_BYTES // 1024 // 1024} MB, and surely no network"
        raise TopologyError(str(path), "file", problem)
    return content


def _text(path: Path) -> str:
    return _content(path).decode("utf-8-sig")


_READERS: dict[str, Callable[[Path], RawNetwork]] = {
    ".graphml": _read_xml,
    ".gml": _read_gml,
    ".json": _read_json,
    ".csv": _read_csv,
    ".tsv": _read_csv,
    ".txt": _read_txt,
    ".gexf": _read_xml,
    ".xml": _read_xml,
}
