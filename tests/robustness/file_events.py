"""Every change of a file that Python makes below a folder, seen before it happens; and dying at any of them.

Python's audit hooks tell of each `open`, `rename`, `mkdir`, `remove` and `rmdir`, whichever library asks for it. A hook cannot be taken
away again, so there is one, which looks at what is being watched.
"""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC
HALF = b"half of wh"
#: What stands for the paths when two folders are about to be exchanged; the call itself is seen by no hook.
EXCHANGE = "exchanged"


class DeathError(OSError):
    """The process ends here."""


@dataclass
class Watch:
    """What happens below ``root``.

    Attributes:
        root: The folder.
        events: Name of each event and the paths that it is about, in their order.
        read: Paths opened for reading, anywhere.
        dies_at: Number of the event at which the process dies, if at all; all later ones fail too, as those of a dead process.
        half: A file that is opened for writing at that moment is there already, with half of its contents.
        interrupt: Raise KeyboardInterrupt once instead: the process goes on, and may clear up.
    """

    root: Path
    events: list[tuple[str, list[Path]]] = field(default_factory=list)
    read: list[Path] = field(default_factory=list)
    dies_at: int | None = None
    half: bool = False
    interrupt: bool = False

    def see(self, name: str, paths: list[Path]) -> None:
        """Take note of an event, or die."""
        number = len(self.events)
        self.events.append((name, paths))
        if self.dies_at is None or number < self.dies_at:
            return
        if self.interrupt:
            if number == self.dies_at:
                raise KeyboardInterrupt
            return
        if number == self.dies_at and self.half and name == "open":
            _watched.clear()
            paths[0].write_bytes(HALF)
            _watched.append(self)
        raise DeathError(f"died at {name} {paths[0]}")


_watched: list[Watch] = []
#: Where the paths and the folders that they are relative to stand among an event's arguments.
_ARGUMENTS = {"os.rename": ((0, 2), (1, 3)), "os.mkdir": ((0, 2),), "os.remove": ((0, 1),), "os.rmdir": ((0, 1),)}


def _path(name: Any, folder: Any = -1) -> Path:
    path = Path(os.fsdecode(name))
    if isinstance(folder, int) and folder >= 0 and not path.is_absolute():
        path = Path(os.readlink(f"/proc/self/fd/{folder}")) / path
    return path.absolute()


def _hook(event: str, arguments: tuple[Any, ...]) -> None:
    if not _watched:
        return
    watch = _watched[-1]
    if event == "open" and isinstance(arguments[0], str | bytes | os.PathLike):
        path = _path(arguments[0])
        if not arguments[2] & WRITING:
            watch.read.append(path)
            return
        if path.is_dir():  # a temporary file: its own name comes with the next event
            return
        paths = [path]
    elif event in _ARGUMENTS:
        paths = [_path(arguments[name], arguments[folder]) for name, folder in _ARGUMENTS[event]]
    elif event == "ctypes.dlsym" and arguments[1] == "renameat2":
        paths = [watch.root / EXCHANGE]
    else:
        return
    if any(path.is_relative_to(watch.root) for path in paths):
        watch.see(event, paths)


sys.addaudithook(_hook)


@contextmanager
def watched(root: Path, **options: Any) -> Iterator[Watch]:
    """Watch ``root`` during a ``with``; options as for `Watch`."""
    watch = Watch(root, **options)
    _watched.append(watch)
    try:
        yield watch
    finally:
        _watched.clear()


def tree(folder: Path) -> dict[str, bytes]:
    """Return what is below ``folder``: contents by path, folders with nothing."""
    return {str(path.relative_to(folder)): path.read_bytes() if path.is_file() else b"" for path in sorted(folder.rglob("*"))}
