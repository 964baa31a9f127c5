"""Builds that are kept: a folder for each, under the hash of everything it depends on, made once and reused by every later run."""

import fcntl
import hashlib
import json
import os
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sw_model.errors import UserError

PACKAGE_ROOT = Path(__file__).resolve().parent.parent
_STAMP = "complete"


class BenchError(Exception):
    """A build or a bench that failed; the message names bench, seed, log and saved case. Its first line stands alone."""


def cache_folder() -> Path:
    """Return where builds are kept: EGRU_BUILD_DIR, else ``build/sim`` of the checkout, else the user's cache folder."""
    chosen = os.environ.get("EGRU_BUILD_DIR")
    if chosen:
        return Path(chosen).resolve()
    if (PACKAGE_ROOT / "pyproject.toml").is_file():
        return PACKAGE_ROOT / "build" / "sim"
    return Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "egru-fpga" / "sim"


def kept(name: str, inputs: object, make: Callable[[Path, Path], None], *, cache: Path) -> Path:
    """Return the folder of a finished build, made now unless it is kept already; parallel workers do not build the same twice.

    Args:
        name: What the build is called.
        inputs: JSON values: everything that the build depends on.
        make: Builds in the folder it is given, which is empty, and writes what the tools say to the log it is given.
        cache: Where builds are kept.

    Raises:
        BenchError: When ``make`` raises a RuntimeError or an OSError.
    """
    folder = cache / f"{name}-{digest(inputs)[:16]}"
    with locked(cache / f"{folder.name}.lock"):
        if (folder / _STAMP).is_file():
            return folder
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        log = folder / "build.log"
        try:
            make(folder, log)
        except (RuntimeError, OSError) as error:
            raise BenchError(f"build of {name} failed ({error}); log {log}:\n{log_excerpt(log)}") from error
        (folder / _STAMP).touch()
    return folder


def digest(value: Any) -> str:
    """Return the SHA-256 of JSON values; what is none counts as its text."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()


def log_excerpt(log: Path, lines: int = 12) -> str:
    """Return the first errors and warnings of a log, else its end."""
    text = log.read_text(errors="replace").splitlines() if log.is_file() else ["(no log)"]
    errors = [line for line in text if "%Error" in line or "%Warning" in line or re.search(r"\b(error|Error|AssertionError):", line)]
    return "\n".join((errors or text[-lines:])[:lines])


def fill_run_folder(run_dir: Path, files: dict[str, str]) -> None:
    """Make an empty folder for a run, with ``files`` (relative path to text) in it."""
    shutil.rmtree(run_dir, ignore_errors=True)
    run_dir.mkdir(parents=True)
    for name, text in files.items():
        (run_dir / name).parent.mkdir(parents=True, exist_ok=True)
        (run_dir / name).write_text(text)


@contextmanager
def locked(path: Path, refusal: UserError | None = None) -> Iterator[None]:
    """Hold a lock that ends with this process, however it ends.

    Args:
        path: A file for it.
        refusal: Raised when another process holds it, instead of waiting.

    Raises:
        UserError: ``refusal``.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX if refusal is None else fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            assert refusal is not None
            raise refusal from None
        yield
