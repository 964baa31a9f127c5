"""A writer that dies at any change of a file leaves its output absent, old and whole, or new and whole; and the next run does not mind."""

import os
import random
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from benchmarks.loaders import LANES, PHASE, SMALL, SPEC, dataset, make_build
from egru import flow, simulation, weight_swap
from egru.commands.export import export
from egru.flow_config import SimulationConfig
from egru.output import CheckFailedError
from egru.place_and_route import ToolFlow, build
from egru.pretrained import write_text as write_splits
from hls_gen.bitstream_memory import ColumnMap, extract_contents
from hls_gen.board import Board, load_board
from hls_gen.board_flow import routed_file
from hls_gen.hls_project import write_hls_project
from hls_gen.manifest import differences
from hls_gen.project import write_project
from sim import fuzz_case
from sim.build_cache import BenchError
from sw_model import checkpoint, output_folder
from sw_model.output_folder import staged_folder, write_whole
from sw_model.quantized_model import QuantizedModel
from sw_model.random_model import random_model
from sw_model.train import progress_folder, run_phase
from tests.egru.conftest import egru
from tests.robustness.file_events import EXCHANGE, DeathError, tree, watched

MODEL, OTHER = random_model(SPEC), random_model(replace(SPEC, seed=1))


def write_folder(folder: Path, mark: str, *, force: bool) -> None:
    with staged_folder(folder, force=force) as staging:
        (staging / "a").write_text(mark)
        (staging / "b").mkdir()
        (staging / "b" / "c").write_text(mark)


def whole(mark: str) -> dict[str, bytes]:
    return {"a": mark.encode(), "b": b"", "b/c": mark.encode()}


def partials(folder: Path) -> list[Path]:
    return [path for path in folder.iterdir() if path.name.startswith(".out.") and path.name.endswith(".partial")]


@pytest.mark.parametrize("way", ["killed", "killed half-way", "interrupted"])
@pytest.mark.parametrize("exchange", [True, False])
@pytest.mark.parametrize("old", [True, False])
def test_a_staged_folder_survives_a_death_at_every_event(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: str, exchange: bool, old: bool
) -> None:
    if not exchange:
        monkeypatch.setattr(output_folder, "_exchange", lambda one, other: False)
    event, last = 0, False
    while not last:
        place = tmp_path / str(event)
        out = place / "out"
        if old:
            write_folder(out, "old", force=False)
        with watched(tmp_path, dies_at=event, half=way == "killed half-way", interrupt=way == "interrupted") as watch:
            with suppress(DeathError, KeyboardInterrupt):
                write_folder(out, "new", force=True)
            last = event >= len(watch.events)
        left = tree(out) if out.exists() else None
        kept = [tree(aside / "old") for aside in partials(place) if (aside / "old").exists()] if place.is_dir() else []
        if left is None and old:
            assert not exchange, event  # between two renames; nothing is lost
            assert kept == [whole("old")]
            assert way != "interrupted"
        else:
            assert left in ([whole("old"), whole("new")] if old else [None, whole("new")]), event
        write_folder(out, "newer", force=True)
        assert tree(out) == whole("newer")
        event += 1
    assert event > 5
    assert left == whole("new")


def test_a_link_to_a_folder_is_replaced_and_what_it_led_to_stays(tmp_path: Path) -> None:
    write_folder(tmp_path / "elsewhere", "old", force=False)
    (tmp_path / "out").symlink_to(tmp_path / "elsewhere")
    write_folder(tmp_path / "out", "new", force=True)
    assert not (tmp_path / "out").is_symlink()
    assert (tree(tmp_path / "out"), tree(tmp_path / "elsewhere")) == (whole("new"), whole("old"))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["elsewhere", "out"]


def fake_tool(self: ToolFlow, step: Any) -> None:
    for name in step.outputs:
        (self.work / name).write_text("")


def fake_run(folder: Path, sequences: Any, *, run_dir: Path, **_: Any) -> Any:
    (run_dir / "run.log").write_text("said")
    raise BenchError(f"mismatch; log {run_dir / 'run.log'}:\nmore")


def fake_unpacking(flow: ToolFlow, board: Board, columns: ColumnMap) -> dict[str, list[int]]:
    return extract_contents((flow.work / routed_file(board, 1)).read_text(), columns)


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("inputs")
    write_project(MODEL, LANES, root / "rtl")
    run_phase(PHASE, dataset(), root / "quantised", progress=False)
    (root / "build").mkdir()
    make_build(root / "build")
    return root


def _swap(inputs: Path, out: Path) -> None:
    weight_swap.swap(inputs / "build", random_model(SMALL), out, force=True)


def _simulate(inputs: Path, out: Path) -> None:
    simulation.run_simulation(inputs / "rtl", SimulationConfig(steps=4), out, force=True)


WRITERS: dict[str, Callable[[Path, Path], object]] = {
    "model": lambda inputs, out: MODEL.save(out, force=True),
    "export": lambda inputs, out: export(inputs / "quantised", out, force=True, json=True),
    "rtl": lambda inputs, out: write_project(MODEL, LANES, out, force=True),
    "hls": lambda inputs, out: write_hls_project(MODEL, LANES, out, force=True),
    "fuzz case": lambda inputs, out: fuzz_case.save(fuzz_case.Case(MODEL, LANES, ((1,),), OTHER), None, out, force=True),
    "text": lambda inputs, out: write_splits(dataset(), out),
    "simulation": _simulate,
    "swap": _swap,
    "build": lambda inputs, out: build(inputs / "rtl", load_board("icebreaker"), out, seeds=(1,), force=True),
}


@pytest.mark.parametrize("name", WRITERS)
def test_a_command_writes_aside_and_moves_once(inputs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """So that, whenever it dies, `test_a_staged_folder_survives_a_death_at_every_event` speaks for it."""
    monkeypatch.setattr(ToolFlow, "run", fake_tool)
    monkeypatch.setattr(simulation, "check_equivalence", fake_run)
    monkeypatch.setattr(simulation, "require_tools", lambda: None)
    monkeypatch.setattr(weight_swap, "_extract", fake_unpacking)
    out = tmp_path / "out"
    old = name != "text"  # which is never forced
    if old:
        write_folder(out, "old", force=False)
    with watched(tmp_path) as watch:
        try:
            WRITERS[name](inputs, out)
        except Exception as error:
            failed: Exception | None = error
        else:
            failed = None
    moves = (out, tmp_path / EXCHANGE)
    moved = [number for number, (_, paths) in enumerate(watch.events) if any(path in moves for path in paths)]
    for event, paths in watch.events:
        aside = [path for path in paths if path not in (*moves, tmp_path)]
        assert all(path.relative_to(tmp_path).parts[0].startswith(".out.") for path in aside), (event, paths)
    if name in ("build",):  # no tool has written what would be read of it
        assert failed is not None
        assert tree(out) == whole("old")
    else:
        assert len(moved) == 1, watch.events
        assert all(event in ("os.remove", "os.rmdir") for event, _ in watch.events[moved[0] + 1 :])
        assert tree(out) != whole("old")
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_training_survives_a_death_at_every_event(tmp_path: Path) -> None:
    phase = PHASE.model_copy(update={"quantization": None})  # which is faster, and writes the same files
    expected = run_phase(phase, dataset(), tmp_path / "whole", progress=False)
    tensors = (tmp_path / "whole" / checkpoint.TENSORS_FILE).read_bytes()
    event, last, resumed = 0, False, set()
    while not last:
        out = tmp_path / str(event) / "out"
        with watched(tmp_path, dies_at=event, half=event % 2 == 1) as watch:
            with suppress(DeathError):
                run_phase(phase, dataset(), out, progress=False)
            last = event >= len(watch.events)
        if out.exists():
            assert (out / checkpoint.TENSORS_FILE).read_bytes() == tensors
        before = out.exists(), (progress_folder(out) / checkpoint.MANIFEST_FILE).exists()
        resumed.add(before)
        found = run_phase(phase, dataset(), out, resume=True, progress=False)
        assert found | {"seconds": 0} == expected | {"seconds": 0}, event
        assert (out / checkpoint.TENSORS_FILE).read_bytes() == tensors
        assert not progress_folder(out).exists()
        event += 1
    assert resumed == {(False, False), (False, True), (True, True), (True, False)}


@pytest.mark.parametrize("half", [True, False])
def test_a_file_survives_a_death_at_every_event(tmp_path: Path, half: bool) -> None:
    event, last = 0, False
    while not last:
        path = tmp_path / str(event) / "results.json"
        write_whole(path, "old")
        with watched(tmp_path, dies_at=event, half=half) as watch:
            with suppress(DeathError):
                write_whole(path, "new")
            last = event >= len(watch.events)
        assert path.read_text() in ("old", "new")
        event += 1
    assert event > 3
    assert (path.read_text(), list(path.parent.iterdir())) == ("new", [path])


def test_a_demo_that_begins_anew_says_no_longer_that_it_is_whole(tmp_path: Path) -> None:
    folder = flow.DemoFolder(tmp_path)
    (tmp_path / "model").mkdir()
    for name in (flow.CONFIG_FILE, flow.SUMMARY_FILE, "model/a"):
        (tmp_path / name).write_text("old")
    with watched(tmp_path) as watch:
        folder.clear()
    assert watch.events[0] == ("os.remove", [tmp_path / flow.SUMMARY_FILE])
    assert tree(tmp_path) == {}


def test_a_failed_simulation_is_kept_whole_and_one_that_was_not_built_replaces_nothing(
    inputs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    write_folder(out, "old", force=False)
    monkeypatch.setattr(simulation, "require_tools", lambda: None)

    def not_built(*_: Any, **__: Any) -> Any:
        raise BenchError("build failed")

    monkeypatch.setattr(simulation, "check_equivalence", not_built)
    with pytest.raises(CheckFailedError, match="build failed"):
        _simulate(inputs, out)
    assert tree(out) == whole("old")
    monkeypatch.setattr(simulation, "check_equivalence", fake_run)
    with pytest.raises(CheckFailedError, match=f"^mismatch; log {out / 'run.log'}$"):
        _simulate(inputs, out)
    assert tree(out) == {"run.log": b"said"}


#: Imports once, then for every line has a child of its own run the same command over and over, so that a kill comes while it writes.
_FOREVER = """
import os, sys
from egru import cli
command = ["generate", "", "--lanes", "1", "--out", sys.argv[3], "--force", "--json"]
def generate(number):
    command[1] = sys.argv[1 + number % 2]
    assert cli.main(command) == 0
generate(0)
for line in sys.stdin:
    child = os.fork()
    if not child:
        for number in range(50):
            generate(number)
    print(child, file=sys.stderr, flush=True)
    os.waitpid(child, 0)
    print("ended", file=sys.stderr, flush=True)
"""


def test_a_killed_command_leaves_a_whole_folder(tmp_path: Path) -> None:
    MODEL.save(tmp_path / "one")
    OTHER.save(tmp_path / "other")
    out = tmp_path / "out"
    rng = random.Random(1)
    command = [sys.executable, "-c", _FOREVER, str(tmp_path / "one"), str(tmp_path / "other"), str(out)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stderr is not None
        for _ in range(3):
            print(file=process.stdin, flush=True)
            child = int(process.stderr.readline())
            before, deadline = len(partials(tmp_path)), time.monotonic() + 20
            while len(partials(tmp_path)) == before and time.monotonic() < deadline:
                time.sleep(0.001)  # until it writes
            time.sleep(rng.uniform(0.0, 0.03))
            os.kill(child, signal.SIGKILL)
            assert process.stderr.readline() == "ended\n"
            assert differences(out) == []
            assert QuantizedModel.load(out / "model").content_hash() in (MODEL.content_hash(), OTHER.content_hash())
        process.stdin.close()
    left = {path.name for path in tmp_path.iterdir()} - {"one", "other", "out"}
    assert left
    assert all(name.startswith(".out.") and name.endswith(".partial") for name in left)
    write_project(MODEL, LANES, out, force=True)
    assert differences(out) == []


def test_a_full_disk_is_said_in_one_line_and_leaves_what_was_there(tmp_path: Path) -> None:
    MODEL.save(tmp_path / "model")
    write_folder(tmp_path / "out", "old", force=False)
    before, limits = tree(tmp_path), resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (512, limits[1]))  # a file that grows further is refused as on a full disk, without a name
    try:
        done = egru("generate", tmp_path / "model", "--lanes", 1, "--out", tmp_path / "out", "--force")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert (done.code, done.out, done.err.count("\n")) == (2, "", 1), done
    assert "check the path, its permissions and the free space" in done.err
    assert tree(tmp_path) == before
