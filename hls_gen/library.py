"""Folders of SystemVerilog in which every file holds the one module that it is named after: what a module needs of them."""

import re
from collections.abc import Collection, Iterable
from pathlib import Path

from sw_model.input_file import read_text

#: Of one source or memory image; those of the largest parts take some megabytes.
MAX_SOURCE_BYTES = 1 << 26


def read_source(path: Path) -> str:
    """Read a source or memory image of a generated folder, which its user may have edited.

    Raises:
        UserError: When it is missing, no UTF-8 text, or absurdly large.
    """
    return read_text(path, "source", "generate the folder again", MAX_SOURCE_BYTES)


def instantiated(text: str, known: Collection[str]) -> set[str]:
    """Return the modules among ``known`` that the source ``text`` instantiates."""
    return set(re.findall(r"^\s*(\w+)\s+(?:#\s*\(|\w+\s*\()", text, re.MULTILINE)) & set(known)


def closure(tops: Iterable[str], folder: Path) -> list[Path]:
    """Return the files of the modules ``tops`` in ``folder``, and of all that they instantiate there, sorted.

    Raises:
        KeyError: For a top that ``folder`` does not hold.
        UserError: When a source is no text.
    """
    known = {path.stem: path for path in Path(folder).glob("*.sv")}
    found: set[str] = set()
    waiting = list(tops)
    while waiting:
        name = waiting.pop()
        if name not in found:
            waiting += instantiated(read_source(known[name]), known)
            found.add(name)
    return sorted(known[name] for name in found)
