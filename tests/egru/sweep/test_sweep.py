"""Whole sweeps by the command line: most with stages that take no time, one with the real ones."""

import json
import os
import random
import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import pytest

from egru import cli
from egru.sweep import stages
from egru.sweep.cache import Cache, Task
from egru.sweep.engine import Outcome, perform
from egru.sweep.grid import expand, load_sweep
from egru.sweep.run import Sweep
from egru.sweep.table import BlockFigures, BuildFigures, LayerFigures, SimulationFigures, SweepResults
from hls_gen.hardware_config import HardwareConfig
from sim.build_cache import locked
from sw_model.errors import UserError
from sw_model.macs import MacsSummary
from sw_model.quantized_model import QuantizedModel

ROOT = Path(__file__).resolve().parents[3]
CONFIG = """
title = "Tiny"
[base.data]
source = "{text}"
[base.dense]
steps = 6
streams = 4
chunk = 8
network = {{ embedding_size = 4, hidden_sizes = [6], threshold_mean = 0.1 }}
[base.prune]
steps = 4
streams = 4
chunk = 8
pruning = {{ sparsity = 0.7, end_step = 2, interval = 1 }}
[base.qat]
steps = 3
streams = 4
chunk = 8
quantization = {{ weight_bits = 4, decoder_bits = 4 }}
[base.hardware]
lanes = [1, 1]
[base.simulation]
steps = 40
[grid]
sparsity = [0, 0.7]
board = ["ulx3s_85f"]
"""


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("config")
    (folder / "text.txt").write_text(" ".join(random.Random(1).choices(["event", "gate", "lane", "weight"], k=400)))
    (folder / "sweep.toml").write_text(CONFIG.format(text=folder / "text.txt"))
    return folder / "sweep.toml"


class InlineEngine:
    """Computes in this process, so that stages can be replaced."""

    def __init__(self, cache: Cache) -> None:
        self._root = cache.root
        self._started: list[Task] = []

    @property
    def free(self) -> int:
        return 1 - len(self._started)

    def start(self, task: Task) -> None:
        self._started.append(task)

    def wait(self) -> list[tuple[Task, Outcome | None]]:
        task = self._started.pop()
        return [(task, perform(task, self._root))]

    def __enter__(self) -> "InlineEngine":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._started.clear()


@dataclass
class Fakes:
    """Stages that write plausible figures; ``began`` tells which have run, ``fails`` makes one fail at a sparsity or board."""

    began: list[str]
    fails: dict[str, Callable[[Task], bool]]

    def replacement(self, stage: str) -> Callable[[Task, Mapping[str, Path], Path], None]:
        def compute(task: Task, inputs: Mapping[str, Path], out: Path) -> None:
            self.began.append(task.stage)
            if task.stage in self.fails and self.fails[task.stage](task):
                raise UserError(f"stage {task.stage}", "fails here", "do not ask")
            FIGURES[stage](task, out)

        return compute


MACS = MacsSummary(dense=10.0, weight_sparse=5.0, event_sparse=2.0)


def write_model(task: Task, out: Path) -> None:
    (out / stages.MODEL).mkdir()
    (out / stages.MODEL / "weights").write_text("some")
    np.savez(out / stages.RASTER_FILE, layer0=np.zeros((3, 6), bool))
    layers = [LayerFigures(name=name, neurons=6, weight_density=0.5, event_density=0.2, macs=MACS) for name in ("layer0", "decoder")]
    values: dict[str, Any] = dict.fromkeys(
        ("quality", "quality_float", "quality_dense", "baseline", "weight_density", "event_density"), 0.5
    )
    values |= {"metric": "bits per character", "baseline_order": 6, "hash": task.key, "macs": MACS.model_dump()}
    stages.write_figures(out, values | {"layers": [layer.model_dump() for layer in layers]})


def write_simulation(task: Task, out: Path) -> None:
    blocks = tuple(
        BlockFigures(name=name, lanes=1, useful=0.5, waste={"fetch": 0.2, "idle": 0.3}, stalls={"bus": 0.1})
        for name in ("layer0", "decoder")
    )
    counts: dict[str, Any] = {"steps": 40, "events": 12, "values": 99, "mismatches": 0, "lanes": 2}
    rates: dict[str, Any] = dict.fromkeys(("cycles_per_step", "predicted_cycles_per_step", "occupancy", "macs_per_step"), 20.0)
    stages.write_figures(out, SimulationFigures(**counts, **rates, blocks=blocks, counts_per_step={"mac": 20.0}))


def write_build(task: Task, out: Path) -> None:
    resources: dict[str, Any] = {"lut": 500, "ff": 400, "bram": 4, "dsp": 2, "available": {"lut": 9000}}
    timing: dict[str, Any] = {"clock_mhz": 30.0, "clock_mhz_per_seed": {1: 30.0, 2: 40.0}, "target_mhz": 50.0, "timing_met": False}
    stages.write_figures(out, BuildFigures(source="place and route", **resources, **timing, steps_per_second=None))


FIGURES: dict[str, Callable[[Task, Path], None]] = {
    "train": lambda task, out: stages.write_figures(out, {"bits_per_symbol": 2.0}),
    "make_model": write_model,
    "fit_hardware": lambda task, out: stages.write_figures(out, {"hardware": HardwareConfig(lanes=(2, 1)).model_dump(mode="json")}),
    "generate": lambda task, out: stages.write_figures(out, {"memory_bits": 1234}),
    "simulate": write_simulation,
    "build_board": write_build,
}


@pytest.fixture
def fakes(monkeypatch: pytest.MonkeyPatch) -> Fakes:
    made = Fakes([], {})
    for name in FIGURES:
        monkeypatch.setattr(stages, name, made.replacement(name))
    monkeypatch.setattr("egru.commands.sweep._engine", lambda name, cache, address, jobs: InlineEngine(cache))
    monkeypatch.setattr("egru.sweep.run.require_tools", lambda: None)
    return made


def sweep(*arguments: object) -> int:
    return cli.main(["sweep", *map(str, arguments)])


def results(out: Path) -> SweepResults:
    return SweepResults.model_validate_json((out / "sweep.json").read_bytes())


def table(out: Path) -> list[dict[str, str]]:
    import csv

    with (out / "points.csv").open(newline="") as file:
        return list(csv.DictReader(file))


EVERY = ["train", "prune", "qat", "model", "generate", "simulate", "build"]


def test_points_share_their_stages_and_are_all_in_the_table(config: Path, fakes: Fakes, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert sweep(config, "--out", out) == 0
    assert fakes.began == [*EVERY, *EVERY[1:]]  # the dense network is the same
    found = results(out)
    assert [row.status for row in found.rows] == ["done", "done"]
    assert list(found.rows[0].stages) == EVERY == list(found.rows[0].seconds)
    build, model = found.rows[0].build, found.rows[0].model
    assert build is not None
    assert model is not None
    assert build.steps_per_second == 40.0e6 / 20.0  # the clock reached, because the board's is not
    assert (model.memory_bits, model.quality_dense, model.baseline_order) == (1234, 0.5, 6)
    for row in found.rows:
        assert row.artifact is not None
        assert row.raster is not None
        assert (out / row.artifact / "weights").read_text() == "some"
        assert np.load(out / row.raster)["layer0"].shape == (3, 6)
    assert found.text == {"name": "text.txt", "unit": "characters", "held_out": 116}


def test_the_csv_is_flat(config: Path, fakes: Fakes, tmp_path: Path) -> None:
    out = tmp_path / "out"
    fakes.fails["generate"] = lambda task: task.inputs["model"].inputs["prune"].settings["phase"]["pruning"] is None
    assert sweep(config, "--out", out) == 1
    dense, pruned = table(out)
    shown = ("name", "sparsity", "hidden_sizes", "lanes", "status", "reason", "model_quality", "model_memory_bits", "build_lut")
    reason = "stage generate fails here; do not ask"
    name = "global-w4-6-l1x1-seed1-ulx3s_85f"
    assert [dense[key] for key in shown] == [f"s0.00-{name}", "0.0", "6", "1x1", "failed", reason, "0.5", "", ""]
    assert [pruned[key] for key in shown] == [f"s0.70-{name}", "0.7", "6", "1x1", "done", "", "0.5", "1234", "500"]
    expected = {
        "model_layer0_weight_density": "0.5",
        "model_decoder_macs_event_sparse": "2.0",
        "simulation_layer0_waste_idle": "0.3",
        "simulation_counts_per_step_mac": "20.0",
        "simulation_cycles_per_step": "20.0",
        "build_clock_mhz_per_seed_2": "40.0",
        "build_timing_met": "False",
        "failed_stage": "",
    }
    assert {key: pruned[key] for key in expected} == expected
    assert list(dense)[:9] == ["name", "sparsity", "method", "weight_bits", "hidden_sizes", "lanes", "seed", "board", "status"]


def test_a_second_run_does_nothing_and_imports_nothing_that_trains(config: Path, fakes: Fakes, tmp_path: Path) -> None:
    out = tmp_path / "out"
    sweep(config, "--out", out)
    code = "import sys; from egru import cli; code = cli.main(sys.argv[1:]); print(code, 'torch' in sys.modules, 'numpy.ma' in sys.modules)"
    before = os.times()
    command = [sys.executable, "-c", code, "sweep", str(config), "--out", str(out)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    after = os.times()
    assert done.stdout == f"all 2 points are done, nothing to do: {out / 'points.csv'}\n0 False False\n"
    assert after.children_user - before.children_user < 5.0
    fakes.began.clear()
    assert sweep(config, "--out", out, "--seed", 1, "--dry-run") == 0  # asked for in other words
    assert sweep(config, "--out", out, "--seed", 1) == 0
    assert fakes.began == []


def test_a_board_more_runs_its_own_stages_only(config: Path, fakes: Fakes, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    sweep(config, "--out", out)
    fakes.began.clear()
    boards = ("--board", "ulx3s_85f,arty_a7_100t")
    capsys.readouterr()
    sweep(config, "--out", out, *boards, "--dry-run", "--json")
    planned = json.loads(capsys.readouterr().out)
    assert [stage["stage"] for stage in planned if not stage["cached"]] == ["build", "build"]
    assert sweep(config, "--out", out, *boards) == 0
    assert fakes.began == ["build", "build"]
    assert len(table(out)) == 4


def test_lanes_that_the_board_chooses_share_the_proof_where_they_are_the_same(
    config: Path, fakes: Fakes, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    boards = ("--lanes", "fit", "--sparsity", 0.7, "--board", "ulx3s_85f,arty_a7_100t")
    assert sweep(config, "--out", out, *boards) == 0
    assert fakes.began == [*EVERY[:4], "fit", "generate", "simulate", "build", "fit", "build"]
    fakes.began.clear()
    capsys.readouterr()
    assert sweep(config, "--out", out, *boards, "--title", "else", "--dry-run", "--json") == 0
    assert all(stage["cached"] for stage in json.loads(capsys.readouterr().out))
    assert sweep(config, "--out", out, *boards, "--title", "else") == 0
    assert fakes.began == []
    assert [row.status for row in results(out).rows] == ["done", "done"]


def test_what_is_planned_behind_a_fit_has_no_key_yet(
    config: Path, fakes: Fakes, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert sweep(config, "--out", tmp_path / "out", "--lanes", "fit", "--sparsity", 0.7, "--dry-run", "--json") == 0
    planned = json.loads(capsys.readouterr().out)
    assert [(stage["stage"], stage["key"] is None) for stage in planned] == [
        *((name, False) for name in ("train", "prune", "qat", "model", "fit")),
        *((name, True) for name in ("generate", "simulate", "build")),
    ]
    assert fakes.began == []
    assert not (tmp_path / "out").exists()


def test_a_point_that_fails_is_recorded_and_the_others_go_on(
    config: Path, fakes: Fakes, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    fakes.fails["build"] = lambda task: task.settings["board"] == "icebreaker"
    assert sweep(config, "--out", out, "--board", "icebreaker,ulx3s_85f") == 1
    rows = results(out).rows
    assert [row.status for row in rows] == ["failed", "done", "failed", "done"]
    assert (rows[0].failed_stage, rows[0].reason) == ("build", "stage build fails here; do not ask")
    assert rows[0].simulation is not None
    said = capsys.readouterr().out
    assert f"{rows[0].name} failed in build: stage build fails here; do not ask\n" in said
    assert said.endswith(f"2 points done, 2 failed: {out / 'points.csv'}\n")
    fakes.fails.clear()
    fakes.began.clear()
    assert sweep(config, "--out", out, "--board", "icebreaker,ulx3s_85f") == 0
    assert fakes.began == ["build", "build"]


def test_the_table_is_written_after_every_point(config: Path, fakes: Fakes, tmp_path: Path) -> None:
    out, seen = tmp_path / "out", []

    def look(task: Task) -> bool:
        if (out / "sweep.json").exists():
            seen.append([row.status for row in results(out).rows])
        return False

    fakes.fails = dict.fromkeys(EVERY, look)
    sweep(config, "--out", out)
    assert [*dict.fromkeys(map(tuple, seen))] == [("waiting", "waiting"), ("done", "waiting")]


def test_a_full_disk_is_one_line_and_the_sweep_goes_on_later(
    config: Path, fakes: Fakes, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"

    def full(task: Task) -> bool:
        raise OSError(28, "No space left on device", "figures.json")

    fakes.fails["simulate"] = full
    assert sweep(config, "--out", out) == 2
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith("error: stage simulate: figures.json: No space left on device; what is finished is kept")
    fakes.fails.clear()
    fakes.began.clear()
    assert sweep(config, "--out", out) == 0
    assert fakes.began == ["simulate", "build", *EVERY[1:]]


def test_the_folder_of_the_results_is_not_taken_from_others(
    config: Path, fakes: Fakes, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "notes.txt").write_text("mine")
    assert sweep(config, "--out", out) == 2
    assert "already holds results" in capsys.readouterr().err
    assert sweep(config, "--out", out, "--force") == 0
    started = results(out).started
    assert sweep(config, "--out", out, "--sparsity", 0.5) == 2
    assert "holds a sweep with points that this one lacks, e.g. s0.00-global-" in capsys.readouterr().err
    (out / "sweep.json").write_text("{")
    fakes.began.clear()
    assert sweep(config, "--out", out, "--sparsity", "0,0.7") == 0
    assert "sweep.json is damaged (" in capsys.readouterr().err
    assert fakes.began == []
    assert results(out).started >= started


def test_two_sweeps_do_not_write_one_table(config: Path, fakes: Fakes, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    with locked(out / ".lock"):
        assert sweep(config, "--out", out) == 2
    assert capsys.readouterr().err.startswith(f"error: folder {out} is being written by another sweep; ")
    assert fakes.began == []


def test_sweeps_share_a_cache_and_what_they_show_stands_without_it(config: Path, fakes: Fakes, tmp_path: Path) -> None:
    shared = ("--cache", tmp_path / "cache")
    assert sweep(config, "--out", tmp_path / "one", *shared) == 0
    assert sweep(config, "--out", tmp_path / "other", *shared) == 0
    assert fakes.began == [*EVERY, *EVERY[1:]]
    assert sorted(path.name for path in (tmp_path / "one").iterdir()) == [".lock", "models", "points.csv", "sweep.json"]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("--seed", "1;2"), "error: --seed 1;2 is not a list with commas; "),
        (("--board", ""), "error: axis board=[] is empty, so the sweep has no points; "),
        (("--address", "1.2.3.4:5"), "error: --address 1.2.3.4:5 has no meaning for the processes of this machine; "),
        (("--lanes", "9x1"), "error: point s0.00-global-w4-6-l9x1-seed1-ulx3s_85f: lanes=9 of layer0 is outside 1 to 6"),
    ],
)
def test_a_mistake_is_one_line_before_anything_is_run(
    config: Path, fakes: Fakes, tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, str], expected: str
) -> None:
    assert sweep(config, "--out", tmp_path / "out", *arguments) == 2
    said = capsys.readouterr().err
    assert said.startswith(expected)
    assert said.count("\n") == 1
    assert fakes.began == []
    assert not (tmp_path / "out").exists()


PAGE = (ROOT / "docs" / "sweep.md").read_text()


def test_the_commands_and_the_file_of_the_page_are_understood(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    commands = re.findall(r"^egru (sweep .*)$", PAGE, re.MULTILINE)
    assert len(commands) == 4
    for command in commands:
        arguments = shlex.split(command, comments=True)
        arguments = [str(ROOT / part) if part.startswith("examples/") else part for part in arguments]
        out = ["--out", str(tmp_path / "out")]  # given last, it is the one that counts
        assert cli.main([*arguments, *out, *([] if "--dry-run" in arguments else ["--dry-run"]), "--json"]) == 0
        assert json.loads(capsys.readouterr().out)
    (block,) = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)
    (tmp_path / "page.toml").write_text(block)
    assert len(expand(load_sweep(tmp_path / "page.toml", {}, {}))) == 13


def test_the_columns_that_the_page_names_are_there(config: Path, fakes: Fakes, tmp_path: Path) -> None:
    out = tmp_path / "out"
    sweep(config, "--out", out)
    named = re.findall(r"`((?:model|simulation|build|stages|seconds)_[a-z0-9_]+[a-z0-9])`", PAGE)
    assert len(named) > 30
    assert set(named) <= set(table(out)[0])


def test_a_real_sweep_is_exact(config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    built: list[str] = []

    def route(task: Task, inputs: Mapping[str, Path], out: Path) -> None:
        built.append(task.settings["board"])
        assert (inputs["generate"] / stages.CORE / "rtl" / "egru_top.sv").is_file()
        write_build(task, out)

    monkeypatch.setattr(stages, "build_board", route)  # place and route has tests of its own
    monkeypatch.setattr("egru.commands.sweep._engine", lambda name, cache, address, jobs: InlineEngine(cache))
    out = tmp_path / "out"
    assert sweep(config, "--out", out) == 0
    dense, pruned = results(out).rows
    for row in (dense, pruned):
        assert row.model is not None
        assert row.simulation is not None
        assert row.artifact is not None
        assert (row.simulation.mismatches, row.simulation.steps) == (0, 40)
        assert row.simulation.events > 0
        assert row.simulation.cycles_per_step == row.simulation.predicted_cycles_per_step
        assert all(block.useful + sum(block.waste.values()) == pytest.approx(1.0, abs=1e-12) for block in row.simulation.blocks)
        assert row.simulation.counts_per_step["mac"] == row.simulation.macs_per_step
        assert QuantizedModel.load(out / row.artifact).content_hash() == row.model.hash
        assert [layer.name for layer in row.model.layers] == ["layer0", "decoder"]
        assert row.model.baseline is not None
        assert row.raster is not None
        assert np.load(out / row.raster)["layer0"].shape == (116, 6)
    assert dense.model is not None
    assert pruned.model is not None
    assert dense.model.weight_density > 0.9
    assert pruned.model.weight_density <= 0.31
    assert dense.model.quality_dense == pruned.model.quality_dense
    assert dense.stages["train"] == pruned.stages["train"]
    assert built == ["ulx3s_85f"] * 2
    choose_hardware(config, out)


def choose_hardware(config: Path, out: Path) -> None:
    """Let a board choose the lanes of the model that the sweep has trained."""
    planned = Sweep(load_sweep(config, {"lanes": ["fit"], "sparsity": [0.7], "board": ["icebreaker"]}, {}), out, Cache(out / "cache"), "")
    (point,) = planned.points
    fit = point.tasks({})["fit"]
    assert planned.cache.find(fit.inputs["model"]) is not None
    hardware = stages.fitted_hardware(planned.cache.produce(fit).folder)
    assert isinstance(hardware.lanes, tuple)
    assert len(hardware.lanes) == 2
