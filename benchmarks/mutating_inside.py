"""The part of `benchmarks.mutating` that a simulation loads after its bench: it runs the bench once for each fault.

Nothing of the design has been evaluated yet when cocotb loads its modules. The process is copied here, once for each fault: bench and
design are loaded once for all of them, which takes longer than most faults live. A copy writes its number where the design reads it, and
goes on as if nothing had happened; the process itself waits for each of them, and ends without simulating anything.
"""

import contextlib
import json
import os
import resource
import signal
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

NUMBER_FILE = "mutant.txt"
ORDER_VARIABLE = "EGRU_MUTANTS"
_RESULTS = "results.xml"
_WALL_SECONDS = 600  # for what waits without working


@dataclass(frozen=True)
class Order:
    """What is to be done.

    Attributes:
        design: Folder of the netlist.
        count: Its faults, number 0 included.
        verdicts: File to which each verdict is added, a line each; what stands there is not run again.
    """

    design: str
    count: int
    verdicts: str


def read_verdicts(path: str) -> dict[int, bool]:
    """Return for each number in the file whether the fault was found."""
    if not Path(path).is_file():
        return {}
    # the last line may be half a line after a kill
    lines = [line.split() for line in Path(path).read_text().splitlines(keepends=True) if line.endswith("\n")]
    return {int(number): verdict == "killed" for number, verdict in lines}


def _run_each(order: Order) -> None:
    os.sched_setaffinity(0, range(os.cpu_count() or 1))
    known = read_verdicts(order.verdicts)
    Path(order.verdicts).write_text("".join(_line(number, killed) for number, killed in known.items()))  # whole lines only
    seconds = _in_copy(0, None)
    if seconds is None:
        return
    left = {path: path.read_bytes() for path in Path().iterdir() if path.is_file()}
    # A fault that makes the bench wait for ever is found: a run may take twice the time of one without a fault.
    limit = int(2 * seconds) + 2
    for number in (number for number in range(1, order.count) if number not in known):
        killed = _in_copy(number, limit) is None
        with open(order.verdicts, "a") as file:
            file.write(_line(number, killed))
    for path, content in left.items():
        path.write_bytes(content)
    os._exit(0)


def _line(number: int, killed: bool) -> str:
    return f"{number} {'killed' if killed else 'survived'}\n"


def _in_copy(number: int, limit: int | None) -> float | None:
    """Return the seconds of CPU time of a passing run, None when it fails."""
    Path(_RESULTS).unlink(missing_ok=True)
    Path(NUMBER_FILE).write_text(f"{number}\n")
    child = os.fork()
    if child == 0:
        with open(f"{number}.log", "w") as log:
            os.dup2(log.fileno(), 1)
            os.dup2(log.fileno(), 2)
        if limit is not None:
            resource.setrlimit(resource.RLIMIT_CPU, (limit, limit))
        signal.alarm(_WALL_SECONDS)
        raise _GoOn
    _, status, usage = os.wait4(child, 0)
    if status or not Path(_RESULTS).is_file():
        return None
    cases = [case for case in ElementTree.parse(_RESULTS).getroot().iter("testcase") if case.find("skipped") is None]
    passed = bool(cases) and not any(child.tag in ("failure", "error") for case in cases for child in case)
    return usage.ru_utime + usage.ru_stime if passed else None


class _GoOn(Exception):  # noqa: N818 - no error
    """Raised in a copy, to get back to where it was loaded."""


if ORDER_VARIABLE in os.environ:
    with contextlib.suppress(_GoOn):
        _run_each(Order(**json.loads(Path(os.environ[ORDER_VARIABLE]).read_text())))
