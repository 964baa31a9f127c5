"""The whole flow on a tiny text. One test takes it through real synthesis and place and route; the others stop at the proof."""

import json
from pathlib import Path
from typing import Any

import pytest

from egru.flow import DemoFolder
from egru.place_and_route import BuildResult
from egru.summary import BuildSummary, Summary, summary_table
from hls_gen.hardware_config import HardwareConfig
from hls_gen.project import Project, write_project
from sw_model.errors import UserError
from sw_model.export import export_checkpoint
from sw_model.quantized_model import QuantizedModel
from tests.egru.conftest import Outcome, Tiny, egru

RESULT = BuildResult(
    board="ulx3s_85f",
    lut=5000,
    ff=3000,
    bram=8,
    dsp=11,
    spram=0,
    fmax_mhz=61.5,
    fmax_mhz_per_seed={1: 61.5},
    seed=1,
    target_mhz=50.0,
    timing_met=True,
    bitstream="egru_board.bit",
    bitstream_bytes=1234,
    seconds={"synthesis": 1.0, "place_and_route": 2.0, "bitstream": 0.5},
    versions={},
)


def demo(tiny: Tiny, out: Path, *options: str) -> Outcome:
    return egru("demo", "--config", tiny.config, "--out", out, *options)


@pytest.fixture(scope="module")
def proved(tiny: Tiny, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Summary]:
    """A demo that stopped before the build; its folder and its summary."""
    out = tmp_path_factory.mktemp("demo") / "out"
    written = demo(tiny, out, "--no-build", "--json").json()
    assert json.loads((out / "summary.json").read_text()) == written
    return out, Summary.model_validate_json(json.dumps(written))


def test_the_demo_writes_every_stage_and_a_summary(proved: tuple[Path, Summary]) -> None:
    out, summary = proved
    folder = DemoFolder(out)
    for part in (*map(folder.checkpoint, ("dense", "pruned", "quantised")), folder.model, folder.rtl, folder.simulation):
        assert any(part.iterdir())
    model = QuantizedModel.load(folder.model)
    assert summary.model.hash == model.content_hash()
    assert summary.model.layers == (6, 5)
    assert summary.model.weight_bits == 4
    assert summary.build is None
    assert summary.model.quality.metric == "bits per character"
    assert sorted(path.name for path in out.iterdir()) == ["checkpoints", "config.json", "model", "rtl", "simulation", "summary.json"]


def test_the_summary_counts_what_was_compared(proved: tuple[Path, Summary]) -> None:
    out, summary = proved
    reference, rtl = summary.equivalence.fake_quant_vs_reference, summary.equivalence.rtl_vs_reference
    assert (rtl.steps, rtl.mismatches, reference.mismatches) == (40, 0, 0)
    assert reference.steps > 0
    assert rtl.events > 0
    assert (out / rtl.log).is_file()


def test_the_dense_equivalent_is_every_mac_on_every_lane(proved: tuple[Path, Summary]) -> None:
    _, summary = proved
    classes = summary.text.vocabulary
    assert summary.cycles.lanes == 5
    assert summary.cycles.dense_equivalent_per_step == (3 * (6 * 6 + 6 * 5 + 5 * 5) + 5 * classes) / 5
    assert 0.0 < summary.cycles.occupancy < 1.0
    assert summary.cycles.mean_per_step > 1.0


def test_every_stage_is_timed(proved: tuple[Path, Summary]) -> None:
    _, summary = proved
    stages = {
        "train_dense",
        "train_pruned",
        "train_quantised",
        "export",
        "fake_quant_vs_reference",
        "evaluation",
        "generate",
        "rtl_vs_reference",
    }
    assert set(summary.seconds) == stages | {"total"}


def test_a_second_demo_refuses_the_folder_and_a_resumed_one_keeps_the_training(
    tiny: Tiny, proved: tuple[Path, Summary], monkeypatch: pytest.MonkeyPatch
) -> None:
    out, summary = proved
    assert "already holds results; " in demo(tiny, out).err
    manifest = out / "checkpoints" / "dense" / "manifest.json"
    written = manifest.stat().st_mtime_ns
    monkeypatch.setattr("egru.flow.build", lambda *_, **__: RESULT)
    resumed = demo(tiny, out, "--resume", "--json").json()
    assert manifest.stat().st_mtime_ns == written
    assert resumed["model"] == summary.as_json()["model"]
    assert resumed["build"] == BuildSummary.model_validate(resumed["build"]).model_dump()
    assert resumed["build"]["bitstream"] == "build/egru_board.bit"
    assert {"build", "build_synthesis", "build_place_and_route", "build_bitstream"} <= set(resumed["seconds"])


def test_pruning_that_does_not_fit_the_network_is_refused_before_anything_is_trained(tiny: Tiny, tmp_path: Path) -> None:
    config = tmp_path / "my.toml"
    config.write_text(tiny.config.read_text().replace("sparsity = 0.7,", 'sparsity = 0.7, method = "column-balanced", lanes = 7,'))
    done = egru("demo", "--config", config, "--out", tmp_path / "out")
    assert done.code == 2
    assert "lanes=7 of layer 0 exceeds its 6 rows; use 1 to 6" in done.err
    assert not (tmp_path / "out").exists()


def test_a_forced_demo_replaces_its_own_files_only(tiny: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "old").write_text("old")
    monkeypatch.setattr("egru.flow.export_checkpoint", stop)
    assert demo(tiny, tmp_path, "--force").code == 2
    assert sorted(path.name for path in tmp_path.iterdir()) == ["checkpoints", "config.json", "notes.txt"]


def stop(*_: object, **__: object) -> BuildResult:
    raise UserError("the test", "stops here", "go home")


def test_a_build_that_fails_ends_the_simulation(
    tiny: Tiny, proved: tuple[Path, Summary], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("egru.flow.build", stop)
    done = demo(tiny, tmp_path / "out")
    assert done.code == 2
    assert done.err.endswith("error: the test stops here; go home\n")
    assert not (tmp_path / "out" / "summary.json").exists()


def test_a_mismatch_in_simulation_is_exit_code_1_without_a_summary(
    tiny: Tiny, proved: tuple[Path, Summary], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:

    def write_with_a_fault(model: QuantizedModel, config: HardwareConfig, folder: Path, **options: Any) -> Project:
        written = write_project(model, config, folder, **options)
        bias = folder / "mem" / "decoder_bias.mem"
        first, *rest = bias.read_text().splitlines()
        bias.write_text("\n".join([f"{int(first, 16) ^ 1:0{len(first)}x}", *rest, ""]))
        return written

    monkeypatch.setattr("egru.flow.write_project", write_with_a_fault)
    done = demo(tiny, tmp_path / "out", "--no-build")
    assert done.code == 1
    assert done.err.splitlines()[-1].startswith("check failed: egru simulate ")
    assert "case saved in" in done.err.splitlines()[-1]
    assert not (tmp_path / "out" / "summary.json").exists()


def test_a_difference_before_the_hardware_is_exit_code_1(tiny: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def export_with_a_fault(folder: Path) -> QuantizedModel:
        model = export_checkpoint(folder)
        model.decoder.bias[0] += 1
        return model

    monkeypatch.setattr("egru.flow.export_checkpoint", export_with_a_fault)
    done = demo(tiny, tmp_path / "out", "--no-build")
    assert done.code == 1
    line = done.err.splitlines()[-1]
    assert line.startswith("check failed: fake-quantised network and reference differ in ")
    assert (tmp_path / "out" / "mismatch" / "mismatch.npz").is_file()


def test_the_figures_are_shown_as_a_table(proved: tuple[Path, Summary]) -> None:
    _, summary = proved
    built = summary.model_copy(update={"build": BuildSummary(**{name: RESULT.as_dict()[name] for name in BuildSummary.model_fields})})
    rows = {str(cell) for column in summary_table(built).columns for cell in column.cells}
    assert "lane occupancy" in rows
    assert "61.5 MHz (target 50 MHz met)" in rows


def test_the_whole_demo_ends_in_a_bitstream(tiny: Tiny, tmp_path: Path) -> None:
    # One layer on one lane: place and route takes most of the time.
    out, config = tmp_path / "out", tmp_path / "small.toml"
    config.write_text(
        tiny.config.read_text().replace("hidden_sizes = [6, 5]", "hidden_sizes = [4]").replace("lanes = [2, 2, 1]", "lanes = 1")
    )
    summary = Summary.model_validate_json(json.dumps(egru("demo", "--config", config, "--out", out, "--json").json()))
    assert summary.build is not None
    bitstream = (out / summary.build.bitstream).read_bytes()
    assert len(bitstream) == summary.build.bitstream_bytes
    assert b"LFE5U-85F" in bitstream[:200]
    assert summary.build.lut > 0
    assert summary.equivalence.rtl_vs_reference.mismatches == 0
