"""What each stage's key covers, and what the stages of a board take from the tools."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from egru.flow_config import FlowConfig
from egru.output import CheckFailedError
from egru.place_and_route import BuildResult
from egru.simulation import Simulation
from egru.sweep import stages
from egru.sweep.cache import Task
from egru.sweep.engine import closure
from egru.sweep.stages import STAGES, Text
from egru.xilinx_estimate import XilinxEstimate
from hls_gen.backend import Backend
from hls_gen.hardware_config import HardwareConfig
from hls_gen.project import write_project
from sim.equivalence import EquivalenceResult
from sw_model.random_model import RandomModelSpec, random_model

CONFIG = FlowConfig.model_validate_json("""{
    "dense": {"steps": 6, "network": {"hidden_sizes": [6, 5]}},
    "prune": {"steps": 4, "pruning": {"sparsity": 0.7, "end_step": 2}},
    "qat": {"steps": 3, "quantization": {"weight_bits": 4, "decoder_bits": 4}},
    "build": {"seeds": [1, 2]}
}""")
TEXT = Text("/a/text.txt", "characters", None, "0" * 64)
LANES = HardwareConfig(lanes=2)


def keys(config: FlowConfig = CONFIG, text: Text = TEXT, lanes: HardwareConfig = LANES) -> dict[str, str]:
    model = stages.model_task(config, text)
    wanted = [stages.fit_task(config, text, model), *stages.hardware_tasks(config, text, model, lanes, with_build=True)]
    return {task.stage: task.key for last in wanted for task in closure(last)}


def changed(**tables: dict[str, Any]) -> set[str]:
    """Return the stages whose keys are others with some values changed, table by table."""
    values = CONFIG.model_dump()
    for name, table in tables.items():
        values[name] = {**(values[name] or {}), **table}
    return differing(keys(FlowConfig.model_validate(values)))


def differing(others: dict[str, str]) -> set[str]:
    return {stage for stage, key in keys().items() if others[stage] != key}


ALL = set(STAGES)


def test_a_setting_changes_the_keys_of_its_stage_and_of_what_stands_on_it() -> None:
    assert set(keys()) == ALL
    assert changed() == set()
    assert changed(dense={"seed": 2}) == ALL
    assert changed(dense={"network": {"hidden_sizes": (6, 6)}}) == ALL
    assert changed(prune={"pruning": None}) == ALL - {"train"}
    assert changed(qat={"quantization": {"weight_bits": 5, "decoder_bits": 5}}) == ALL - {"train", "prune"}
    assert changed(simulation={"steps": 41}) == {"simulate"}
    assert changed(build={"seeds": (3,)}) == {"build"}
    assert changed(build={"clock_mhz": 25.0}) == {"build"}
    assert changed(build={"board": "icebreaker"}) == {"fit", "build"}
    assert changed(hardware={"queue_depth": 8}) == {"fit"}  # for the others the hardware is what was chosen
    assert differing(keys(lanes=HardwareConfig(lanes=3))) == {"generate", "simulate", "build"}


def test_what_changes_no_result_changes_no_key() -> None:
    assert changed(dense={"checkpoint_every": 7}, build={"jobs": 2}) == set()
    assert changed(prune={"network": {"hidden_sizes": (9,)}}) == set()  # the shape of a network that is there already
    assert differing(keys(text=Text("/b/text.txt", "characters", None, "0" * 64))) == set()


def test_another_text_changes_every_key() -> None:
    assert differing(keys(text=Text("/a/text.txt", "characters", None, "1" * 64))) == ALL


@pytest.fixture(scope="module")
def core(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("core")
    write_project(random_model(RandomModelSpec(hidden=(4,), tokens=5, classes=5)), HardwareConfig(lanes=1), folder / stages.CORE)
    return folder


def build_task(board: str) -> Task:
    config = CONFIG.model_copy(update={"build": CONFIG.build.model_copy(update={"board": board})})
    return stages.hardware_tasks(config, TEXT, stages.model_task(config, TEXT), LANES, with_build=True)[-1]


def test_of_a_build_the_figures_logs_and_bitstream_are_kept(core: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def route(generated: Path, board: Any, out: Path, **options: Any) -> BuildResult:
        assert (generated, options) == (core / stages.CORE, {"seeds": [1, 2], "clock_mhz": None, "jobs": 1})
        (out / "rtl").mkdir(parents=True)
        for name in ("build.json", "a.bit", "route.log", "netlist.json", "rtl/a.sv"):
            (out / name).touch()
        resources: dict[str, Any] = {"lut": 5, "ff": 4, "bram": 3, "dsp": 2, "spram": 0}
        clocks: dict[str, Any] = {
            "fmax_mhz": 61.5,
            "fmax_mhz_per_seed": {1: 60.0, 2: 63.0},
            "seed": 2,
            "target_mhz": 50.0,
            "timing_met": True,
        }
        return BuildResult(board.name, **resources, **clocks, bitstream="a.bit", bitstream_bytes=0, seconds={}, versions={})

    monkeypatch.setattr(stages, "place_and_route", route)
    stages.build_board(build_task("ulx3s_85f"), {"generate": core}, tmp_path)
    assert sorted(path.name for path in (tmp_path / stages.BUILD).iterdir()) == ["a.bit", "build.json", "route.log"]
    assert stages.read_figures(tmp_path) == {
        **{"source": "place and route", "lut": 5, "ff": 4, "bram": 3, "dsp": 2, "clock_mhz": 61.5, "target_mhz": 50.0, "timing_met": True},
        "available": {"lut": 83_640, "ff": 83_640, "bram": 208, "dsp": 156},
        "clock_mhz_per_seed": {"1": 60.0, "2": 63.0},
        "steps_per_second": None,
    }


@pytest.mark.parametrize(("board", "tops"), [("arty_a7_100t", True), ("pynq_z2", False)])
def test_vivados_boards_are_estimated_with_their_top(
    core: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, board: str, tops: bool
) -> None:
    def estimate(generated: Path, board: Any, out: Path) -> XilinxEstimate:
        assert (generated / "rtl" / "egru_top.sv").is_file()
        assert (generated / "rtl" / "egru_board.sv").is_file() == tops
        assert list((generated / "mem").iterdir())
        out.mkdir()
        (out / "estimate.json").touch()
        return XilinxEstimate(board.name, "an estimate", "top", 5, 4, 3, 2, {"lut": 9}, 1.0, "1")

    monkeypatch.setattr(stages, "xilinx_estimate", estimate)
    stages.build_board(build_task(board), {"generate": core}, tmp_path)
    figures = stages.read_figures(tmp_path)
    assert (figures["source"], figures["lut"], figures["available"], figures["clock_mhz"]) == ("an estimate", 5, {"lut": 9}, None)
    assert sorted(path.name for path in tmp_path.iterdir()) == [stages.BUILD, stages.FIGURES_FILE]


def test_a_simulation_without_events_proves_nothing(core: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def silent(*_: object, **__: object) -> Simulation:
        counts: dict[str, Any] = {"steps": 40, "events": 0, "values": 1, "mismatches": 0, "timed_steps": 40, "cycles": 9}
        rest: dict[str, Any] = {"blocks": (), "engine_steps": (), "logit_stalls": 0, "seconds": {}, "log": tmp_path}
        return Simulation(EquivalenceResult(backend=Backend.RTL, timing="measured", **counts, **rest), "text", {"operations": []})

    monkeypatch.setattr(stages, "run_simulation", silent)
    inputs: Mapping[str, Path] = {"generate": core}
    with pytest.raises(CheckFailedError, match="saw no events in 40 steps, so it shows nothing"):
        stages.simulate(stages.hardware_tasks(CONFIG, TEXT, stages.model_task(CONFIG, TEXT), LANES, with_build=False)[1], inputs, tmp_path)
