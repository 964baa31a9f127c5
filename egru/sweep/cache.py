"""What a sweep has computed, kept under the SHA-256 of everything that decides it.

The key of a task covers the name of its stage, its settings, the keys of its inputs, and the code and tools that compute it. An entry is a
folder that is written aside and moved into place, with a manifest that holds the SHA-256 of its files. What is not as it was written is set
aside and computed again.
"""

import importlib.metadata
import shutil
import tempfile
import time
import traceback
from collections.abc import Callable, Mapping
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from functools import cache, cached_property
from pathlib import Path
from typing import Any, Literal

from pydantic import ValidationError

from egru.config import StrictModel
from egru.output import CheckFailedError, progress_console
from hls_gen.manifest import MANIFEST_FILE, file_hashes, hash_files
from sim.build_cache import PACKAGE_ROOT, BenchError, digest, locked
from sw_model.errors import UserError
from sw_model.output_folder import staged_folder

#: What a stage says on its way, and where it broke off when nobody had foreseen it.
LOG_FILE, TRACEBACK_FILE = "log.txt", "traceback.txt"
#: Folders beside the entries: what was found damaged, what a failed stage left, and the locks.
DAMAGED, FAILED, LOCKS = "damaged", "failed", "locks"
#: Digits of the key in the name of an entry.
SHOWN_DIGITS = 24


@dataclass(frozen=True)
class Code:
    """What computes a stage.

    Attributes:
        sources: Files and folders of this package, relative to where it is installed.
        packages: Other Python packages.
    """

    sources: tuple[str, ...]
    packages: tuple[str, ...] = ()

    @property
    def fingerprint(self) -> str:
        """The SHA-256 of all sources and of the packages' versions."""
        return _fingerprint(self)


@cache
def _fingerprint(code: Code) -> str:
    roots = [PACKAGE_ROOT / source for source in code.sources]
    files = {path for root in roots for path in (root.rglob("*") if root.is_dir() else [root]) if path.is_file() and path.suffix != ".pyc"}
    return digest([hash_files(PACKAGE_ROOT, files), versions(code.packages)])


def versions(packages: tuple[str, ...]) -> dict[str, str]:
    """Return the versions of ``packages``; empty of what is not installed."""
    return {package: _version(package) for package in packages}


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return ""


@dataclass(frozen=True, eq=False)
class Task:
    """One stage with its settings; it goes to worker processes, so all of it can be pickled.

    Attributes:
        stage: The stage's name.
        run: Computes it: takes the task, the folders of its inputs by name, and an empty folder for the output.
        settings: JSON values; everything that decides the result beside the inputs.
        code: What computes it.
        inputs: Earlier tasks by name.
        source: Where the text is, if the stage reads one; what is in it stands in ``settings``.
    """

    stage: str
    run: Callable[["Task", Mapping[str, Path], Path], None]
    settings: Mapping[str, Any]
    code: Code
    inputs: Mapping[str, "Task"] = field(default_factory=dict)
    source: str = ""

    @cached_property
    def key(self) -> str:
        """SHA-256 of everything that decides the result."""
        return self.key_here()

    def key_here(self) -> str:
        """Compute the key with the code of this machine, which need not be that of the machine where the task was made."""
        inputs = {name: task.key_here() for name, task in self.inputs.items()}
        return digest([self.stage, dict(self.settings), inputs, self.code.fingerprint])

    @property
    def name(self) -> str:
        """Name of the entry."""
        return f"{self.stage}-{self.key[:SHOWN_DIGITS]}"


class EntryManifest(StrictModel):
    """``manifest.json`` of an entry.

    Attributes:
        format: Always the same.
        version: Of this description.
        stage: The stage's name.
        key: The task's key; the next four are what went into it, for people.
        settings: See `Task`.
        inputs: Keys of the inputs.
        sources: What computed it.
        packages: Versions of other packages that did.
        seconds: Wall-clock time.
        files: SHA-256 of every other file by its path.
    """

    format: Literal["egru-sweep-entry"] = "egru-sweep-entry"
    version: Literal[1] = 1
    stage: str
    key: str
    settings: dict[str, Any]
    inputs: dict[str, str]
    sources: tuple[str, ...]
    packages: dict[str, str]
    seconds: float
    files: dict[str, str]


@dataclass(frozen=True)
class Entry:
    """A result that was found whole.

    Attributes:
        folder: Where it is.
        seconds: Wall-clock time of its computation.
    """

    folder: Path
    seconds: float


class StageFailedError(Exception):
    """A stage has failed; the message is one line."""


class Cache:
    """The entries in one folder, which several sweeps and machines may share."""

    def __init__(self, root: Path) -> None:
        """Keep the entries in ``root``, which need not exist."""
        self.root = Path(root).absolute()

    def folder(self, task: Task) -> Path:
        """Return where the result of ``task`` is, or will be."""
        return self.root / task.name

    def find(self, task: Task) -> Entry | None:
        """Return the result of ``task`` when it is there and whole; set aside what is not as it was written, and say so."""
        folder = self.folder(task)
        if not folder.exists():
            return None
        try:
            return Entry(folder, _check(folder, task).seconds)
        except _DamagedError as damage:
            aside = self._set_aside(folder)
            words = f"cache entry {folder} {damage}; it is now in {aside} and will be computed again if it is needed"
            progress_console.print(words, soft_wrap=True, markup=False, highlight=False)
            return None

    def seconds(self, task: Task) -> float | None:
        """Return how long ``task`` took, from its manifest alone; None where there is none."""
        try:
            return _manifest(self.folder(task)).seconds
        except _DamagedError:
            return None

    def produce(self, task: Task) -> Entry:
        """Return the result of ``task``, computed now unless it is there.

        Raises:
            StageFailedError: When the stage fails; what it left is in `FAILED`.
            OSError: When an entry cannot be written.
        """
        folder = self.folder(task)
        with locked(self.root / LOCKS / f"{task.name}.lock"):
            found = self.find(task)
            if found is not None:
                return found
            # Of processes that were killed: whoever holds the lock is the only one at work here.
            for left in self.root.glob(f".{task.name}.*.partial"):
                shutil.rmtree(left, ignore_errors=True)
            if task.key_here() != task.key:
                what, rule = (
                    "egru-fpga on this machine",
                    "has other sources or tools than where the sweep began",
                )
                raise StageFailedError(str(UserError(what, rule, "use the same everywhere, and run the sweep again")))
            with staged_folder(folder) as work:
                started = time.monotonic()
                self._run(task, work)
                seconds = round(time.monotonic() - started, 2)
                text = _describe(task, seconds, file_hashes(work)).model_dump_json(indent=1)
                (work / MANIFEST_FILE).write_text(text + "\n")
        return Entry(folder, seconds)

    def _run(self, task: Task, work: Path) -> None:
        inputs = {name: self.folder(earlier) for name, earlier in task.inputs.items()}
        try:
            with (work / LOG_FILE).open("w") as log, redirect_stdout(log), redirect_stderr(log):
                task.run(task, inputs, work)
        except (OSError, MemoryError):
            raise  # not the stage's fault
        except (UserError, CheckFailedError) as error:
            raise self._failure(task, work, str(error)) from None
        except BenchError as error:  # its first line stands alone
            raise self._failure(task, work, str(error).splitlines()[0]) from None
        except Exception as error:  # a defect of this program must not end the other points
            (work / TRACEBACK_FILE).write_text(traceback.format_exc())
            raise self._failure(task, work, f"{type(error).__name__}: {error}; see {work / TRACEBACK_FILE}") from None

    def _failure(self, task: Task, work: Path, reason: str) -> StageFailedError:
        """Keep what a failed stage has written, the logs and the case of a mismatch, and return the error that names it."""
        kept = self.root / FAILED / task.name
        shutil.rmtree(kept, ignore_errors=True)
        shutil.copytree(work, kept)
        return StageFailedError(" ".join(reason.split()).replace(str(work), str(kept)))

    def _set_aside(self, folder: Path) -> Path:
        place = self.root / DAMAGED
        place.mkdir(parents=True, exist_ok=True)
        aside = Path(tempfile.mkdtemp(prefix=f"{folder.name}.", dir=place)) / folder.name
        try:
            folder.rename(aside)
        except FileNotFoundError:  # another process did it
            aside.parent.rmdir()
        return aside


class _DamagedError(Exception):
    """What is wrong with an entry."""


def _manifest(folder: Path) -> EntryManifest:
    try:
        return EntryManifest.model_validate_json((folder / MANIFEST_FILE).read_bytes())
    except FileNotFoundError:
        raise _DamagedError(f"holds no {MANIFEST_FILE}") from None
    except (ValidationError, OSError) as error:
        raise _DamagedError(f"has a damaged {MANIFEST_FILE} ({str(error).splitlines()[0]})") from None


def _check(folder: Path, task: Task) -> EntryManifest:
    """Read the manifest of an entry and compare all files with it.

    Raises:
        _DamagedError: When something is not as it was written.
    """
    manifest = _manifest(folder)
    if (manifest.stage, manifest.key) != (task.stage, task.key):
        raise _DamagedError(f"holds another result: {manifest.stage} of key {manifest.key[:SHOWN_DIGITS]}")
    found = file_hashes(folder)
    for name in sorted(manifest.files.keys() | found.keys()):
        if name not in found:
            raise _DamagedError(f"lacks its file {name}")
        if name not in manifest.files:
            raise _DamagedError(f"holds a file {name} that is not its own")
        if found[name] != manifest.files[name]:
            raise _DamagedError(f"has an altered file {name}")
    return manifest


def _describe(task: Task, seconds: float, files: dict[str, str]) -> EntryManifest:
    return EntryManifest(
        stage=task.stage,
        key=task.key,
        settings=dict(task.settings),
        inputs={name: earlier.key for name, earlier in task.inputs.items()},
        sources=task.code.sources,
        packages=versions(task.code.packages),
        seconds=seconds,
        files=files,
    )
