"""Where tasks are computed: in processes of this machine, or on a cluster by Ray; and the loop that hands them out in their order."""

import errno
import os
import signal
import socket
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import connection, get_context, parent_process
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

from egru.sweep.cache import Cache, Entry, StageFailedError, Task
from sw_model.errors import UserError

#: How often a task is begun whose process is lost before it ends.
ATTEMPTS = 3
#: Errors that are not one task's: the next one would meet them too.
DISK_FULL = (errno.ENOSPC, errno.EDQUOT)
#: Seconds after which a wait ends even if nothing has: the time left is shown anew.
LOOK_EVERY = 1.0
#: How long a cluster has to answer.
CONNECT_SECONDS = 10


@dataclass(frozen=True)
class Outcome:
    """How a task ended.

    Attributes:
        failure: Why it failed, in one line; None when its result is in the cache.
        disk_full: What could not be written, when that is why.
    """

    failure: str | None = None
    disk_full: bool = False


def perform(task: Task, root: Path) -> Outcome:
    """Compute ``task`` in the cache at ``root``; called in a process of the engine."""
    try:
        Cache(root).produce(task)
    except OSError as error:
        where = "" if error.filename is None else f"{error.filename}: "
        return Outcome(f"{where}{error.strerror or error}", disk_full=error.errno in DISK_FULL)
    except StageFailedError as error:
        # A tool that finds the disk full says so in its own words.
        return Outcome(str(error), disk_full=os.strerror(errno.ENOSPC) in str(error))
    except MemoryError:
        return Outcome("there is not enough memory; give fewer --jobs, or use a machine with more")
    return Outcome()


class Engine(Protocol):
    """Computes tasks; a context manager that ends all of them when it is left."""

    @property
    def free(self) -> int:
        """How many tasks it can take now."""

    def start(self, task: Task) -> None:
        """Begin ``task``."""

    def wait(self) -> list[tuple[Task, Outcome | None]]:
        """Return what has ended, after a moment perhaps nothing; None in place of the outcome when its process was lost."""

    def __enter__(self) -> Self:
        """Begin."""

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """End everything."""


class LocalEngine:
    """Processes of this machine, each with a core."""

    def __init__(self, cache: Cache, jobs: int) -> None:
        """Compute into ``cache``, ``jobs`` tasks at a time."""
        self._root, self._jobs = cache.root, jobs
        self._idle: list[_Worker] = []
        self._busy: dict[connection.Connection, tuple[_Worker, Task]] = {}

    @property
    def free(self) -> int:
        """How many tasks it can take now."""
        return self._jobs - len(self._busy)

    def start(self, task: Task) -> None:
        """Begin ``task``."""
        worker = self._idle.pop() if self._idle else _Worker()
        self._busy[worker.connection] = worker, task
        with suppress(BrokenPipeError):  # killed while it waited; `wait` will see
            worker.connection.send((task, self._root))

    def wait(self) -> list[tuple[Task, Outcome | None]]:
        """Return what has ended."""
        ended: list[tuple[Task, Outcome | None]] = []
        for ready in connection.wait(list(self._busy), LOOK_EVERY):
            assert isinstance(ready, connection.Connection)
            worker, task = self._busy.pop(ready)
            try:
                ended.append((task, ready.recv()))
                self._idle.append(worker)
            except (EOFError, OSError):  # it was killed
                worker.end()
                ended.append((task, None))
        return ended

    def __enter__(self) -> Self:
        """Begin."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """End every process, and the tools that they have started."""
        for worker in [*self._idle, *(worker for worker, _ in self._busy.values())]:
            worker.end()


class _Worker:
    """A process that computes one task after the other: what it imports for one it has for the next."""

    def __init__(self) -> None:
        context = get_context("spawn")  # a fork would copy threads and locks in whatever state they are
        self.connection, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs,), daemon=True)
        self._process.start()
        theirs.close()  # so that a killed process closes the last of its ends

    def end(self) -> None:
        self.connection.close()
        assert self._process.pid is not None
        try:
            os.killpg(self._process.pid, signal.SIGKILL)  # with the tools that it runs
        except ProcessLookupError:  # it is gone, or has no group of its own yet
            self._process.kill()
        self._process.join()


def _serve(tasks: connection.Connection) -> None:
    """Compute what comes, until there is no one to send it."""
    os.setpgid(0, 0)  # Ctrl-C goes to the sweep alone, which ends this process and its tools together
    threading.Thread(target=_end_with_parent, daemon=True).start()
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # read when torch is imported, with the first task
    while True:
        try:
            task, root = tasks.recv()
        except (EOFError, ConnectionResetError):  # closed; reset when it was closed before the last outcome was read
            return
        tasks.send(perform(task, root))


def _end_with_parent() -> None:
    parent = parent_process()
    assert parent is not None
    parent.join()
    os.killpg(0, signal.SIGKILL)


class RayEngine:
    """A Ray cluster. Its machines see the cache and the text under the same paths, and have this package installed."""

    def __init__(self, cache: Cache, address: str | None, jobs: int | None = None) -> None:
        """Compute into ``cache``.

        Args:
            cache: On a file system that all machines share.
            address: Of the cluster; None for the one that `ray` finds, or else one on this machine alone.
            jobs: Tasks at a time; as many as the cluster has cores if not given.

        Raises:
            UserError: When Ray is not installed, or the cluster cannot be reached.
        """
        try:
            import ray
        except ImportError:
            raise UserError("--engine ray", "needs Ray, which is not installed", "pip install 'egru-fpga[cluster]'") from None
        self._ray: Any = ray
        self._root, self._jobs = cache.root, jobs
        self._address = address
        self._running: dict[Any, Task] = {}

    @property
    def free(self) -> int:
        """How many tasks it can take now."""
        cores = int(self._ray.cluster_resources().get("CPU", 0))
        return min(cores, self._jobs or cores) - len(self._running)

    def start(self, task: Task) -> None:
        """Begin ``task``."""
        self._running[self._perform.remote(task, self._root)] = task

    def wait(self) -> list[tuple[Task, Outcome | None]]:
        """Return what has ended."""
        ended: list[tuple[Task, Outcome | None]] = []
        for reference in self._ray.wait(list(self._running), timeout=LOOK_EVERY)[0]:
            task = self._running.pop(reference)
            try:
                ended.append((task, self._ray.get(reference)))
            except self._ray.exceptions.RayTaskError as error:  # not even begun: the package is not there, say
                ended.append((task, Outcome(" ".join(str(error.cause).split()))))
            except self._ray.exceptions.RayError:  # its process or its machine is lost
                ended.append((task, None))
        return ended

    def __enter__(self) -> Self:
        """Join the cluster."""
        # Ray itself would look for it for minutes, and would then end this process by a handler of its own at SIGTERM.
        ended_by = signal.getsignal(signal.SIGTERM)
        try:
            host, _, port = (self._address or "").rpartition(":")
            if port.isdigit() and "/" not in host:
                socket.create_connection((host, int(port)), CONNECT_SECONDS).close()
            # A cluster that is begun here tells nobody of it; one that is there has been asked when it was begun.
            os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
            self._ray.init(address=self._address, log_to_driver=False, logging_level="ERROR")
        except (OSError, RuntimeError, ValueError, self._ray.exceptions.RayError) as error:
            what, reason = f"the Ray cluster at {self._address or 'this machine'}", str(error).splitlines()[0]
            raise UserError(what, f"cannot be reached ({reason})", "start it with ray start, or mend --address") from None
        finally:
            signal.signal(signal.SIGTERM, ended_by)
        # Lost tasks are begun again by `drive`, whatever the engine.
        self._perform = self._ray.remote(max_retries=0, num_cpus=1)(perform)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Leave the cluster, which ends what it still computes for this sweep."""
        self._ray.shutdown()


@dataclass(frozen=True)
class Failure:
    """Why a task has failed."""

    reason: str


#: What is known of tasks, by their keys.
States = dict[str, Entry | Failure]


class DiskFullError(OSError):
    """A task could not write its result; it is OSError so that it is told like any other full disk."""


@dataclass(frozen=True)
class Progress:
    """Where a sweep stands.

    Attributes:
        states: What has ended.
        running: What has been begun, by key.
        missing: What is still to be computed, by key; what is running is among it.
        ended: What has ended since the last report.
        slots: How many tasks can run at a time.
    """

    states: States
    running: Mapping[str, Task]
    missing: Mapping[str, Task]
    ended: Sequence[Task]
    slots: int


#: Returns the tasks whose results are wanted, as far as they can be known from what has ended; the first ones are computed first.
Wanted = Callable[[States], Sequence[Task]]


def drive(wanted: Wanted, cache: Cache, engine: Engine, report: Callable[[Progress], None]) -> States:
    """Compute what is wanted and not in the cache, each task once and after its inputs.

    Args:
        wanted: The tasks.
        cache: Where results are.
        engine: What computes them.
        report: Called when something has ended, and about every second.

    Returns:
        What became of the tasks; those behind a failed one are not among them.

    Raises:
        DiskFullError: When a result cannot be written. What has ended by then is in the cache.
    """
    states: States = {}
    running: dict[str, Task] = {}
    attempts: Counter[str] = Counter()
    ended: list[Task] = []
    while True:
        settle(wanted, states, cache)
        left = missing(wanted(states), states)
        for key, task in left.items():
            if engine.free < 1:
                break
            if key not in running and all(earlier.key in states for earlier in task.inputs.values()):
                attempts[key] += 1
                running[key] = task
                engine.start(task)
        report(Progress(states, running, left, ended, engine.free + len(running)))
        if not running:
            return states
        ended = []
        for task, outcome in engine.wait():
            del running[task.key]
            state = _state(task, outcome, cache)
            if state is None and attempts[task.key] >= ATTEMPTS:
                words = "its process was killed" if outcome is None else "its result was damaged at once"
                state = Failure(f"{words}, {ATTEMPTS} times; is there enough memory? give fewer --jobs")
            if state is not None:
                states[task.key] = state
                ended.append(task)


def settle(wanted: Wanted, states: States, cache: Cache) -> None:
    """Note in ``states`` what is in the cache of all that is wanted; what only stands behind such a result is not looked at."""

    def look(task: Task) -> None:
        if task.key not in states:
            entry = cache.find(task)
            if entry is not None:
                states[task.key] = entry
            else:
                for earlier in task.inputs.values():
                    look(earlier)

    known = -1
    while known < len(states):  # what is found may make known what else is wanted
        known = len(states)
        for task in wanted(states):
            look(task)


def missing(wanted: Sequence[Task], states: States) -> dict[str, Task]:
    """Return by key what has to be computed, after its inputs; nothing that stands on a failed task."""
    found: dict[str, Task] = {}

    def look(task: Task) -> bool:
        """Say whether ``task`` can have a result."""
        if task.key in states:
            return isinstance(states[task.key], Entry)
        possible = all([look(earlier) for earlier in task.inputs.values()])
        if possible:
            found.setdefault(task.key, task)
        return possible

    for task in wanted:
        look(task)
    return found


def closure(task: Task) -> Iterator[Task]:
    """Yield all that ``task`` stands on, then itself."""
    for earlier in task.inputs.values():
        yield from closure(earlier)
    yield task


def _state(task: Task, outcome: Outcome | None, cache: Cache) -> Entry | Failure | None:
    """Return what became of a task; None when that is not known and it must be begun again.

    Raises:
        DiskFullError: When it could not write its result.
    """
    if outcome is None:
        return None
    if outcome.disk_full:
        raise DiskFullError(f"stage {task.stage}: {outcome.failure}; what is finished is kept, and the same command goes on from there")
    return Failure(outcome.failure) if outcome.failure is not None else cache.find(task)
