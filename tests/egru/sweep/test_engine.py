"""The order of tasks, lost processes, kills and full disks, with stages that take no time."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from egru.sweep.cache import FAILED, TRACEBACK_FILE, Cache, Entry
from egru.sweep.engine import ATTEMPTS, DiskFullError, Failure, LocalEngine, Outcome
from tests.egru.sweep.fake_stages import diamond, fake, lines, read, run


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "log"


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    return Cache(tmp_path / "cache")


def alive(pid: int) -> bool:
    status = Path(f"/proc/{pid}/status")
    return status.exists() and "State:\tZ" not in status.read_text()


def wait_for(path: Path, process: subprocess.Popen[str] | None = None) -> None:
    deadline = time.monotonic() + 60
    while not path.exists():
        assert time.monotonic() < deadline
        assert process is None or process.poll() is None, process
        time.sleep(0.01)


def test_every_task_is_computed_once_after_its_inputs(cache: Cache, log: Path) -> None:
    left, right = diamond(log)
    states = run([left, right], cache, LocalEngine(cache, 2))
    assert lines(log)[:2] == ["first", "second"]
    assert sorted(lines(log)[2:]) == ["left", "right"]
    # 1 + 2 (1 + 2 · 1), and 1 + 2 (3 + 1)
    assert [read(cache.folder(task)) for task in (left, right)] == [7, 9]
    assert all(isinstance(state, Entry) for state in states.values())
    again = run([left, right], cache, LocalEngine(cache, 2))
    assert len(lines(log)) == 4
    assert set(again) == {left.key, right.key}  # what stands behind a result is not looked at


def test_what_stands_on_a_failed_task_is_left_out_and_the_rest_goes_on(cache: Cache, log: Path) -> None:
    first = fake(log, "first")
    bad = fake(log, "bad", first, fails="index")
    behind, beside = fake(log, "behind", bad), fake(log, "beside", first)
    states = run([behind, beside], cache, LocalEngine(cache, 1))
    assert lines(log) == ["first", "bad", "beside"]
    failure = states[bad.key]
    assert isinstance(failure, Failure)
    kept = cache.root / FAILED / bad.name
    assert failure.reason.startswith(f"IndexError: bad cannot be, see {kept / 'evidence.txt'}; see {kept / TRACEBACK_FILE}")
    assert (kept / "evidence.txt").read_text() == "what went wrong"
    assert "IndexError" in (kept / TRACEBACK_FILE).read_text()
    assert behind.key not in states
    assert isinstance(states[beside.key], Entry)
    assert not list(cache.root.glob(".*"))
    run([behind, beside], cache, LocalEngine(cache, 1))
    assert lines(log) == ["first", "bad", "beside", "bad"]  # a failure is tried again


def test_a_task_whose_process_is_killed_is_begun_again_a_few_times(cache: Cache, log: Path, tmp_path: Path) -> None:
    once = fake(log, "once", dies=1, marker=tmp_path / "once")
    always = fake(log, "always", dies=100, marker=tmp_path / "always")
    states = run([once, always, fake(log, "other")], cache, LocalEngine(cache, 1))
    assert sorted(lines(log)) == ["always"] * ATTEMPTS + ["once", "once", "other"]
    assert read(cache.folder(once)) == 1
    failure = states[always.key]
    assert isinstance(failure, Failure)
    assert failure.reason.startswith(f"its process was killed, {ATTEMPTS} times; ")


SWEEP = """
import signal
import sys
from pathlib import Path
from egru.sweep.cache import Cache
from egru.sweep.engine import LocalEngine
from tests.egru.sweep.fake_stages import diamond, run
if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)  # what a shell starts in the background ignores it
    cache = Cache(Path(sys.argv[1]))
    run(diamond(Path(sys.argv[2]), sleeps_until=sys.argv[3]), cache, LocalEngine(cache, 2))
"""


@pytest.mark.parametrize("way", [signal.SIGKILL, signal.SIGINT])
def test_a_killed_sweep_ends_its_processes_and_goes_on_where_it_was(cache: Cache, log: Path, tmp_path: Path, way: signal.Signals) -> None:
    left, right = diamond(log, sleeps_until=tmp_path / "go")
    command = [sys.executable, "-c", SWEEP, str(cache.root), str(log), str(tmp_path / "go")]
    with subprocess.Popen(command, text=True, stderr=subprocess.DEVNULL) as process:
        wait_for(cache.folder(left), process)
        deadline = time.monotonic() + 60
        while "tool" not in lines(log) and time.monotonic() < deadline:  # `right` waits beside it
            time.sleep(0.01)
        process.send_signal(way)
        process.wait(60)
    processes = {int(line.split()[1]) for line in log.read_text().splitlines()}
    deadline = time.monotonic() + 30
    while any(map(alive, processes)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(map(alive, processes))
    left_over = list(cache.root.glob(f".{right.name}.*.partial"))
    assert len(left_over) == 1
    (tmp_path / "go").touch()
    run([left, right], cache, LocalEngine(cache, 1))
    assert sorted(lines(log)) == ["first", "left", "right", "right", "second", "tool", "tool"]
    assert read(cache.folder(right)) == 9
    assert not left_over[0].exists()


def test_a_full_disk_stops_the_sweep_and_keeps_what_is_finished(cache: Cache, log: Path, tmp_path: Path) -> None:
    left, right = diamond(log, disk_full_until=tmp_path / "freed")
    with pytest.raises(DiskFullError, match=r"^stage right: .*result\.json: No space left on device; what is finished is kept"):
        run([left, right], cache, LocalEngine(cache, 1))
    (tmp_path / "freed").touch()
    run([left, right], cache, LocalEngine(cache, 1))
    assert lines(log) == ["first", "second", "left", "right", "right"]


def test_a_task_that_was_made_by_other_sources_is_refused(cache: Cache, log: Path) -> None:
    task = fake(log, "first")
    task.__dict__["key"] = "0" * 64  # as if it came from a machine whose sources give another key
    states = run([task], cache, LocalEngine(cache, 1))
    failure = states[task.key]
    assert isinstance(failure, Failure)
    assert failure.reason.startswith("egru-fpga on this machine has other sources or tools than where the sweep began; ")
    assert lines(log) == []


def test_processes_that_want_the_same_result_compute_it_once(cache: Cache, log: Path, tmp_path: Path) -> None:
    task = fake(log, "first", sleeps_until=tmp_path / "go")
    one, other = LocalEngine(cache, 1), LocalEngine(cache, 1)
    with one, other:
        one.start(task)
        other.start(task)
        wait_for(log)
        time.sleep(0.5)  # so that the other one meets the lock
        (tmp_path / "go").touch()
        found: list[Outcome | None] = []
        while len(found) < 2:
            found += [outcome for engine in (one, other) if engine.free == 0 for _, outcome in engine.wait()]
    assert [outcome and outcome.failure for outcome in found] == [None, None]
    assert lines(log) == ["first", "tool"]
    assert cache.find(task) is not None


def test_an_idle_worker_that_is_killed_is_replaced(cache: Cache, log: Path) -> None:
    engine = LocalEngine(cache, 1)
    with engine:
        engine.start(fake(log, "first"))
        while not engine.wait():
            pass
        os.kill(int(log.read_text().split()[1]), signal.SIGKILL)
        time.sleep(0.2)
        assert list(run([fake(log, "second")], cache, engine).values())
    assert lines(log) == ["first", "second"]
