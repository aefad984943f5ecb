"""How a run that was lost is continued: with which words, and what of its folder stays.

A run in which anybody has run a window is resumed.  One that had not begun is started over, if there was
nothing in its folder before, and what it has left there is removed.  What the words mean is known only as
far as that takes; who starts them, and how often, is the supervisor's.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

CONTINUED = "--continued"
"""Says that a run is resumed by its supervisor, who cannot know whether it has ended meanwhile."""
_FLAGS = ("--page", "--keys", "--json", "--share", "--attached", CONTINUED)
_OWN = ("--engine", "--seed", "--hosts", "--policy")  # of the run that is resumed
_VOLATILE = "--volatile"


class Continuation:
    """The continuation of a run that is begun now, with these words."""

    def __init__(self, words: Sequence[str]) -> None:
        self._words, options = words, dict(_options(words))
        self._folder, self._is_volatile = options.get("--out", ""), _VOLATILE in options
        self._was_empty = not (self._folder and any(Path(self._folder).glob("*")))

    def __call__(self) -> list[str] | None:
        """Return the words that continue the run; None if nothing can."""
        again = resuming(self._words)
        if again is not None or not self._was_empty or self._is_volatile:
            return again
        for path in Path(self._folder).glob("*") if self._folder else ():
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        return list(self._words)


def resuming(words: Sequence[str]) -> list[str] | None:
    """Return the words that resume a run which other words have begun; None if nothing was done yet."""
    from emulator.store import journals

    kept, folder = list[str](), ""
    for name, value in _options(words):
        if name == _VOLATILE:
            return None
        if name in ("--out", "--resume"):
            folder = value
        elif name == CONTINUED:
            continue
        elif name in _FLAGS:
            kept.append(name)
        elif name not in _OWN:
            kept += [name, value]
    is_begun = folder and journals.has_begun(Path(folder))
    return ["run", "--resume", folder, CONTINUED, *kept] if is_begun else None


def _options(words: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Yield the options of a run, each with its value; flags have none."""
    rest = iter(words[words.index("run") + 1 :])
    for word in rest:
        name, equals, value = word.partition("=")
        if name.startswith("--"):
            is_alone = equals or name in (*_FLAGS, _VOLATILE)
            yield name, value if is_alone else next(rest, "")
