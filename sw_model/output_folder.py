"""Outputs are written aside and moved into place: a folder or file is either absent, old and whole, or new and whole."""

import ctypes
import errno
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from sw_model.errors import UserError


def require_free(folder: Path, *, force: bool) -> None:
    """Refuse an output folder that holds something, before any work is spent on it.

    Raises:
        UserError: When ``folder`` is a file, or holds anything and ``force`` is not given.
    """
    folder = Path(folder)
    if folder.exists() and not folder.is_dir():
        raise UserError(f"output folder {folder}", "is a file", "give another --out")
    if not force and folder.is_dir() and any(folder.iterdir()):
        raise UserError(f"output folder {folder}", "already holds results", "give another --out, or --force to replace them")


@contextmanager
def staged_folder(folder: Path, *, force: bool = False) -> Iterator[Path]:
    """Yield a new folder beside ``folder`` and move it into place when the block ends without an error.

    Args:
        folder: The final place.
        force: Replace what is there; without it a folder that holds anything is refused.

    Raises:
        UserError: When ``folder`` may not be written.
    """
    folder = Path(folder).absolute()
    require_free(folder, force=force)
    with _beside(folder) as aside:
        staging = aside / "new"
        staging.mkdir()
        yield staging
        _replace(staging, folder, aside / "old")


def write_whole(path: Path, text: str) -> None:
    """Write a text aside and move it into place: a file that is there is whole, whoever else writes it."""
    with _beside(path) as aside:
        part = aside / path.name
        part.write_text(text)
        part.replace(path)


def write_texts(folder: Path, files: Mapping[str, str]) -> None:
    """Write texts by their path in ``folder``, which exists."""
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


@contextmanager
def _beside(path: Path) -> Iterator[Path]:
    """Yield a folder beside ``path`` that is removed in the end; it is private, but what is made in it is as readable as anything else."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = Path(tempfile.mkdtemp(prefix=f".{path.name}.", suffix=".partial", dir=path.parent))
    try:
        yield aside
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _replace(staging: Path, folder: Path, old: Path) -> None:
    if not folder.exists():
        staging.rename(folder)
    elif not _exchange(staging, folder):
        try:
            folder.rename(old)
            staging.rename(folder)
        except BaseException:  # Ctrl-C too: whoever called removes what is left aside
            if old.exists() and not folder.exists():
                old.rename(folder)
            raise


def _exchange(one: Path, other: Path) -> bool:
    """Exchange two folders in one step, so that no kill comes between; return False where the system cannot."""
    renameat2 = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if renameat2 is None or renameat2(_AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other), _RENAME_EXCHANGE) == 0:
        return renameat2 is not None
    code = ctypes.get_errno()
    if code in (errno.ENOSYS, errno.EINVAL, errno.ENOTSUP):  # an old kernel, or a file system that does not know it
        return False
    raise OSError(code, os.strerror(code), str(other))


_AT_FDCWD, _RENAME_EXCHANGE = -100, 2  # of Linux
