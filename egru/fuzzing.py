"""Fuzzing: random models on random hardware under random stimuli, compared with the reference; what differs is made small and saved.

Which cases are drawn follows from the seed alone, not from how many processes share the work.
"""

import multiprocessing
import os
import queue
import signal
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import asdict, dataclass, field
from itertools import count
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

from egru.output import CheckFailedError, progress_bar
from egru.tools import require_tools
from hls_gen.backend import Backend
from sim.build_cache import cache_folder
from sim.csim import find_compiler
from sim.fuzz_case import VARIANTS, Case, Counts, Finding, check, draw_cases, load, save
from sim.fuzz_shrink import shrink
from sim.hls_headers import find_headers
from sw_model.output_folder import require_free

#: A process that has met as many stops: it would only save the same defect again.
MOST_FINDINGS = 5
#: How often the bar moves, in seconds.
TICK = 0.5


@dataclass(frozen=True)
class FuzzSettings:
    """What is drawn, and for how long.

    Attributes:
        seconds: No case begins later than this.
        seed: Of all draws.
        configurations: Most cases; as many as the time allows when None.
        backends: Hardware to compare.
        jobs: Processes side by side.
        shrink_seconds: Time for making a failing case smaller.
    """

    seconds: float
    seed: int = 1
    configurations: int | None = None
    backends: tuple[Backend, ...] = (Backend.RTL, Backend.HLS)
    jobs: int = 2
    shrink_seconds: float = 120.0

    @property
    def variants(self) -> int:
        """Cases of a group. The model is part of HLS C++, which is compiled for each: there a build serves one case only."""
        return VARIANTS if Backend.RTL in self.backends else 1


@dataclass(frozen=True)
class Saved:
    """A finding and the folder that replays it."""

    finding: Finding
    folder: Path


@dataclass
class FuzzReport:
    """What a run compared and found."""

    counts: Counts = field(default_factory=Counts)
    saved: list[Saved] = field(default_factory=list)
    seconds: float = 0.0

    def to_json(self) -> dict[str, Any]:
        """Return all of it as JSON values."""
        findings = [{**asdict(saved.finding), "folder": str(saved.folder)} for saved in self.saved]
        rate = 60.0 * self.counts.configurations / self.seconds if self.seconds else 0.0
        mismatches = len(self.saved)
        return asdict(self.counts) | {
            "mismatches": mismatches,
            "findings": findings,
            "seconds": self.seconds,
            "configurations_per_minute": rate,
        }


def run_fuzz(settings: FuzzSettings, out: Path, *, force: bool = False) -> FuzzReport:
    """Draw and compare until the time or the number of cases is reached.

    Args:
        settings: What to draw.
        out: Folder in which each finding gets a folder of its own; not made when there is none.
        force: ``out`` may hold something.

    Raises:
        UserError: When a tool is missing or ``out`` holds something.
        CheckFailedError: When no neuron sent an event in the whole run: such a run proves nothing.
    """
    require_free(out, force=force)
    _require(settings.backends)
    report, started = FuzzReport(), time.monotonic()
    results = _in_processes(settings, out) if settings.jobs > 1 else _in_this_process(settings, out)
    with progress_bar() as bar:
        total = settings.configurations
        task = bar.add_task("fuzzing", total=total or int(settings.seconds))
        for result in results:
            if result is not None:
                report.counts.add(result[0])
                report.saved += result[1]
            report.seconds = time.monotonic() - started
            done, left = report.counts.configurations, _time_left(settings, report)
            words = f"{done} configurations, {len(report.saved)} mismatches, {left:.0f} s left"
            bar.update(task, completed=done if total else min(int(report.seconds), int(settings.seconds)), description=words)
    if report.counts.configurations and not report.counts.events and not report.saved:
        raise CheckFailedError(f"{report.counts.configurations} configurations without a single event prove nothing; use another --seed")
    return report


def replay(folder: Path, backends: Sequence[Backend]) -> tuple[Counts, Finding | None]:
    """Compare a saved case again.

    Raises:
        UserError: When the folder is no saved case, or a tool is missing.
    """
    case = load(folder)
    _require(backends)
    with tempfile.TemporaryDirectory(prefix="egru-replay-") as scratch, _quiet():
        return check(case, backends, Path(scratch))


def run_group(settings: FuzzSettings, group: int, out: Path, deadline: float) -> Iterator[tuple[Counts, list[Saved]]]:
    """Compare the cases of a group, one after the other; after a finding the rest of the group is left out.

    Args:
        settings: What to draw.
        group: Its number.
        out: Where a finding is saved.
        deadline: No case begins after this `time.monotonic`.
    """
    limit = settings.variants
    if settings.configurations is not None:
        limit = min(limit, settings.configurations - group * settings.variants)
    with _own_builds() as scratch, _quiet():
        for variant, case in enumerate(draw_cases(settings.seed, group, max(0, limit))):
            if time.monotonic() >= deadline:
                return
            # Every case of HLS is a build of its own; in a run of both it takes part once a group.
            backends = [backend for backend in settings.backends if backend is Backend.RTL or variant == 0]
            with tempfile.TemporaryDirectory(dir=scratch) as folder:
                counts, finding = check(case, backends, Path(folder))
            saved = [] if finding is None else [_save(settings, case, finding, scratch, out / f"group{group}-case{variant}")]
            yield counts, saved
            if saved:
                return


def _save(settings: FuzzSettings, case: Case, finding: Finding, scratch: Path, folder: Path) -> Saved:
    save(case, finding, folder, force=True)  # a run that is stopped while it shrinks has the case
    smaller, finding = shrink(case, finding, scratch, settings.shrink_seconds)
    save(smaller, finding, folder, force=True)
    return Saved(finding, folder)


def _time_left(settings: FuzzSettings, report: FuzzReport) -> float:
    left = max(0.0, settings.seconds - report.seconds)
    done = report.counts.configurations
    if settings.configurations is None or not done:
        return left
    return min(left, (settings.configurations - done) * report.seconds / done)


def _require(backends: Sequence[Backend]) -> None:
    if Backend.RTL in backends:
        require_tools()
    if Backend.HLS in backends:
        find_headers()
        find_compiler()


def _groups(settings: FuzzSettings, first: int, stride: int) -> Iterator[int]:
    """Yield the groups of one process."""
    for group in count(first, stride):
        if settings.configurations is not None and group * settings.variants >= settings.configurations:
            return
        yield group


def _in_this_process(settings: FuzzSettings, out: Path, first: int = 0, stride: int = 1) -> Iterator[tuple[Counts, list[Saved]] | None]:
    deadline, found = time.monotonic() + settings.seconds, 0
    for group in _groups(settings, first, stride):
        if time.monotonic() >= deadline or found >= MOST_FINDINGS:
            return
        for counts, saved in run_group(settings, group, out, deadline):
            found += len(saved)
            yield counts, saved


def _in_processes(settings: FuzzSettings, out: Path) -> Iterator[tuple[Counts, list[Saved]] | None]:
    """Yield results as they come, and None now and then so that the bar moves."""
    context = multiprocessing.get_context("spawn")
    results: multiprocessing.Queue[tuple[Counts, list[Saved]]] = context.Queue()
    workers = [context.Process(target=_work, args=(settings, out, first, results)) for first in range(settings.jobs)]
    for worker in workers:
        worker.start()
    try:
        alive = True
        while alive:
            # Looked at first: what a process puts before it ends is then still fetched.
            alive = any(worker.is_alive() for worker in workers)
            try:
                while True:
                    yield results.get(timeout=TICK)
            except queue.Empty:
                yield None
        broken = [worker.exitcode for worker in workers if worker.exitcode]
        if broken:
            raise CheckFailedError(f"a process of the fuzzer ended with status {broken[0]}; what it said stands above")
    finally:
        for worker in workers:
            worker.terminate()
        for worker in workers:
            worker.join()


def _work(settings: FuzzSettings, out: Path, first: int, results: "multiprocessing.Queue[tuple[Counts, list[Saved]]]") -> None:
    signal.signal(signal.SIGTERM, _leave)
    try:
        for result in _in_this_process(settings, out, first, settings.jobs):
            if result is not None:
                results.put(result)
    except KeyboardInterrupt:  # the parent, which got it too, says so
        pass


def _leave(_signal: int, _frame: FrameType | None) -> NoReturn:
    raise SystemExit(0)  # programs that are waited for are killed, temporary folders removed


@contextmanager
def _own_builds() -> Iterator[Path]:
    """Keep builds, which nobody needs again, in a folder that goes away; what all of them share is taken from the cache and left there."""
    cache = cache_folder()
    cache.mkdir(parents=True, exist_ok=True)
    before = os.environ.get("EGRU_BUILD_DIR")
    with tempfile.TemporaryDirectory(prefix="fuzz-", dir=cache) as name:
        folder = Path(name)
        for runtime in cache.glob("runtime-*"):
            (folder / runtime.name).symlink_to(runtime)
        os.environ["EGRU_BUILD_DIR"] = name
        try:
            yield folder
        finally:
            if before is None:
                del os.environ["EGRU_BUILD_DIR"]
            else:
                os.environ["EGRU_BUILD_DIR"] = before
            for made in folder.glob("runtime-*"):
                if not made.is_symlink() and not (cache / made.name).exists():
                    made.rename(cache / made.name)


@contextmanager
def _quiet() -> Iterator[None]:
    """Drop what libraries print: it would be a line for every build."""
    with open(os.devnull, "w") as nowhere, redirect_stdout(nowhere):
        yield
