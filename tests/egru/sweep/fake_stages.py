"""Stages that take no time. They live in a module of their own, so that worker processes can import them."""

import errno
import json
import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from egru.sweep.cache import Cache, Code, Task
from egru.sweep.engine import Progress, States, drive

RESULT = "result.json"


def stage(task: Task, inputs: Mapping[str, Path], out: Path) -> None:
    """Append a line to the log, do what the settings say, and write a number that depends on everything before."""
    settings = task.settings
    with Path(settings["log"]).open("a") as log:
        log.write(f"{settings['name']} {os.getpid()}\n")
    time.sleep(settings.get("seconds", 0.0))
    marker = Path(settings.get("marker", ""))
    if settings.get("dies") and begun(marker) <= settings["dies"]:
        os.kill(os.getpid(), signal.SIGKILL)
    if settings.get("disk_full_until") and not Path(settings["disk_full_until"]).exists():
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(out / RESULT))
    if settings.get("sleeps_until"):
        tool = subprocess.Popen(["sleep", "600"])
        with Path(settings["log"]).open("a") as log:
            log.write(f"tool {tool.pid}\n")
        while not Path(settings["sleeps_until"]).exists():
            time.sleep(0.01)
        tool.kill()
        tool.wait()
    if settings.get("fails"):
        (out / "evidence.txt").write_text("what went wrong")
        raise {"user": ValueError, "index": IndexError}[settings["fails"]](f"{settings['name']} cannot be, see {out / 'evidence.txt'}")
    total = sum(read(folder) for folder in inputs.values())
    (out / RESULT).write_text(json.dumps(1 + 2 * total))


def begun(marker: Path) -> int:
    """Count the calls with this marker."""
    with marker.open("a") as file:
        file.write("x")
    return len(marker.read_text())


def read(folder: Path) -> int:
    """Return a stage's number."""
    value: int = json.loads((folder / RESULT).read_text())
    return value


def fake(log: Path, name: str, *inputs: Task, **settings: Any) -> Task:
    """Make a task."""
    given = {"log": str(log), "name": name, **{key: str(value) if isinstance(value, Path) else value for key, value in settings.items()}}
    return Task(name, stage, given, Code(("egru/sweep/cache.py",)), {task.stage: task for task in inputs})


def diamond(log: Path, **last: Any) -> list[Task]:
    """Make two tasks that stand on the same two."""
    first = fake(log, "first", seconds=0.3)  # long enough for another process to have been begun
    second = fake(log, "second", first)
    return [fake(log, "left", second), fake(log, "right", second, first, **last)]


def lines(log: Path) -> list[str]:
    """Return the names in the log, in the order of their beginnings."""
    return [line.split()[0] for line in log.read_text().splitlines()] if log.exists() else []


def run(tasks: Sequence[Task], cache: Cache, engine: Any) -> States:
    """Compute ``tasks``."""

    def silent(progress: Progress) -> None:
        """Show nothing."""

    with engine:
        return drive(lambda states: tasks, cache, engine, silent)
