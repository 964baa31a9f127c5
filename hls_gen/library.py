"""Folders of SystemVerilog in which every file holds the one module that it is named after: what a module needs of them."""

import re
from collections.abc import Collection, Iterable
from pathlib import Path


def instantiated(text: str, known: Collection[str]) -> set[str]:
    """Return the modules among ``known`` that the source ``text`` instantiates."""
    return set(re.findall(r"^\s*(\w+)\s+(?:#\s*\(|\w+\s*\()", text, re.MULTILINE)) & set(known)


def closure(tops: Iterable[str], folder: Path) -> list[Path]:
    """Return the files of the modules ``tops`` in ``folder``, and of all that they instantiate there, sorted.

    Raises:
        KeyError: For a top that ``folder`` does not hold.
    """
    known = {path.stem: path for path in Path(folder).glob("*.sv")}
    found: set[str] = set()
    waiting = list(tops)
    while waiting:
        name = waiting.pop()
        if name not in found:
            waiting += instantiated(known[name].read_text(), known)
            found.add(name)
    return sorted(known[name] for name in found)
