"""Generate `protos/gen` and the SMIv2 module from their sources, or check that they are current.

`python tools/generate_protos.py` writes; `--check` writes nothing and exits 1 if anything would change.
"""

from __future__ import annotations

import filecmp
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PROTOS = ROOT / "protos"


def generate(target: Path) -> None:
    """Write the generated packages and the MIB module below `target`/protos."""
    sources = sorted(str(path) for path in (PROTOS / "qsagin").rglob("*.proto"))
    names = ["protos/gen/" + str(Path(source).relative_to(PROTOS)) for source in sources]
    command = [sys.executable, "-m", "grpc_tools.protoc", f"-Iprotos/gen={PROTOS}"]
    command += [f"--python_out={target}", f"--pyi_out={target}", f"--grpc_python_out={target}"]
    environment_path = str(Path(sys.executable).parent)
    subprocess.run(  # noqa: S603
        [*command, f"--mypy_grpc_out=quiet:{target}", *names],
        check=True,
        env={"PATH": f"{environment_path}:/usr/bin:/bin"},
    )
    packages = [path for path in (target / "protos" / "gen").rglob("*") if path.is_dir()]
    for package in [target / "protos" / "gen", *packages]:
        (package / "__init__.py").write_text('"""Generated code; do not edit."""\n')
    from smi import module_text

    (target / "protos" / "QSAGIN-MIB.txt").write_text(module_text())


def stale(fresh: Path) -> list[str]:
    """Return the paths that differ between `fresh`/protos and the working tree."""
    made = {p.relative_to(fresh) for p in fresh.rglob("*") if p.is_file()}
    kept = {p.relative_to(ROOT) for p in (PROTOS / "gen").rglob("*.py*") if p.suffix != ".pyc"}
    kept.add(Path("protos/QSAGIN-MIB.txt"))
    return sorted(
        str(path)
        for path in made | kept
        if path not in made
        or not (ROOT / path).exists()
        or not filecmp.cmp(fresh / path, ROOT / path, shallow=False)
    )


def main() -> int:
    """Generate, then install or compare."""
    with tempfile.TemporaryDirectory() as folder:
        fresh = Path(folder)
        generate(fresh)
        if "--check" in sys.argv[1:]:
            changed = stale(fresh)
            for path in changed:
                print(f"{path} is not current: run `make protos`", file=sys.stderr)
            return 1 if changed else 0
        shutil.rmtree(PROTOS / "gen", ignore_errors=True)
        shutil.copytree(fresh / "protos", PROTOS, dirs_exist_ok=True)
    return 0


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    sys.exit(main())
