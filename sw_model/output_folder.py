"""Outputs are written aside and moved into place: a folder is either absent, old and whole, or new and whole."""

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
    folder.parent.mkdir(parents=True, exist_ok=True)
    staging = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", suffix=".partial", dir=folder.parent))
    try:
        yield staging
        # mkdtemp makes the folder private; results are as readable as any other file of the user.
        umask = os.umask(0)
        os.umask(umask)
        staging.chmod(0o777 & ~umask)
        _replace(staging, folder)
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def write_texts(folder: Path, files: Mapping[str, str]) -> None:
    """Write texts by their path in ``folder``, which exists."""
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def _replace(staging: Path, folder: Path) -> None:
    if not folder.exists():
        staging.rename(folder)
        return
    old = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", suffix=".old", dir=folder.parent))
    folder.rename(old / "content")
    try:
        staging.rename(folder)
    except OSError:
        (old / "content").rename(folder)
        raise
    finally:
        shutil.rmtree(old, ignore_errors=True)
