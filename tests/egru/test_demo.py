"""The whole flow on a tiny text. One test takes it through real synthesis and place and route; the others stop at the proof."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from egru.artifacts import load_matching_text, text_info
from egru.flow import DemoFolder
from egru.place_and_route import BuildResult
from egru.pretrained import PRETRAINED, load_pretrained, pretrained_config
from egru.summary import BuildSummary, Summary, TrainingRecord, summary_table
from examples.record import readme, record
from hls_gen.board import load_board
from hls_gen.hardware_config import HardwareConfig
from hls_gen.project import Project, write_project
from hls_gen.resource_model import check_budget, estimate_on_board
from sw_model.datasets import EMBEDDED, join
from sw_model.errors import UserError
from sw_model.evaluate import evaluate_model
from sw_model.export import export_checkpoint
from sw_model.quantized_model import QuantizedModel
from sw_model.train_config import load_recipe
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
    assert reference is not None
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
    shown = rows(built)
    assert shown["lane occupancy"] == f"{summary.cycles.occupancy:.2f}"
    assert shown["clock after routing"] == "61.5 MHz (target 50 MHz met)"


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


# The model that comes trained


def rows(summary: Summary) -> dict[str, str]:
    """Return the table that people see."""
    what, measured = (map(str, column.cells) for column in summary_table(summary).columns)
    return dict(zip(what, measured, strict=True))


@pytest.fixture(scope="module")
def example(tiny: Tiny, proved: tuple[Path, Summary], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An example folder made of the demo's checkpoints, whose recipe names a text of its own beside it."""
    root = tmp_path_factory.mktemp("example")
    shutil.copyfile(tiny.text, root / tiny.text.name)
    tables = tiny.config.read_text().replace(str(tiny.text), str(root / tiny.text.name))
    for name, text in zip(("recipe.toml", "hardware.toml"), tables.split("[hardware]"), strict=True):
        (root / name).write_text(text if name == "recipe.toml" else "[hardware]" + text)
    record(proved[0] / "checkpoints", root / "recipe.toml", root / "hardware.toml", "a test's machine", root / "example")
    return root / "example"


@pytest.fixture
def shipped(example: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("egru.pretrained.PRETRAINED", example)
    return example


def test_a_pretrained_model_is_measured_and_proved_without_training(shipped: Path, proved: tuple[Path, Summary], tmp_path: Path) -> None:
    written = egru("demo", "--pretrained", "--no-build", "--out", tmp_path / "out", "--json").json()
    summary = Summary.model_validate_json(json.dumps(written))
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["config.json", "model", "rtl", "simulation", "summary.json"]
    assert set(summary.seconds) == {"pretrained", "generate", "rtl_vs_reference", "evaluation", "total"}
    # The same text and the same integers: what is measured is what was recorded, and what the demo measured that trained it.
    assert summary.pretrained == TrainingRecord.model_validate_json((shipped / "figures.json").read_text())
    assert summary.model == summary.pretrained.model == proved[1].model
    assert summary.text == proved[1].text
    assert summary.equivalence.fake_quant_vs_reference is None
    assert summary.equivalence.rtl_vs_reference == proved[1].equivalence.rtl_vs_reference
    shown = rows(summary)
    assert shown["trained (recorded)"].startswith("on a test's machine in ")
    assert shown["held-out text"] == f"{summary.text.test} characters"
    assert shown["bits per character, float (recorded)"] == f"{proved[1].model.quality.float_:.3f}"
    assert shown["fake-quantised = reference (recorded)"].endswith("; not repeated: the checkpoint is not shipped")
    assert "fake-quantised = reference" not in shown


def test_symbols_that_a_pretrained_model_does_not_know_are_left_out_and_counted(
    shipped: Path, tiny: Tiny, proved: tuple[Path, Summary], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Popen(subprocess.Popen[str]):
        """Does nothing for `egru simulate`, which is run above: whether it would take the text is seen below."""

        def __init__(self, command: list[str], **options: Any) -> None:
            if "simulate" in command:
                assert f"--data={out / 'text'}" in command
                result = json.loads((proved[0] / "simulation" / "simulation.json").read_text()) | {
                    "log": str(out / "simulation" / "run.log")
                }
                (out / "simulation").mkdir()
                (out / "simulation" / "simulation.json").write_text(json.dumps(result))
                command = [sys.executable, "-c", ""]
            super().__init__(command, **options)

    out, model = tmp_path / "out", QuantizedModel.load(shipped / "model")
    # As in the text of another Python: one symbol is new, and one that the model knows is gone.
    changed = tiny.text.read_text().replace("l", "Z")
    (shipped.parent / tiny.text.name).write_text(changed)
    monkeypatch.setattr("egru.flow.subprocess.Popen", Popen)
    summary = Summary.model_validate_json(json.dumps(egru("demo", "--pretrained", "--no-build", "--out", out, "--json").json()))
    held_out = changed[len(changed) * 95 // 100 :].replace("Z", "")
    info = text_info(model)
    assert info is not None
    tokens = load_matching_text(info, str(out / "text")).test
    assert join((model.vocabulary[token] for token in tokens), "characters") == held_out
    assert summary.model.quality.quantised == evaluate_model(model, tokens).bits_per_symbol
    assert summary.text.vocabulary == len(model.vocabulary)
    assert summary.text.unknown == changed.count("Z") > 0
    left_out = f"of another text than at training; {changed.count('Z')} symbols unknown to the model left out of all splits"
    assert rows(summary)["held-out text"] == f"{len(held_out)} characters {left_out}"


@pytest.mark.parametrize("option", [("--config", "my.toml"), ("--data", "pydoc-topics"), ("--resume",)])
def test_what_a_pretrained_model_settles_cannot_be_given(shipped: Path, option: tuple[str, ...], tmp_path: Path) -> None:
    done = egru("demo", "--pretrained", *option, "--out", tmp_path / "out")
    assert done.code == 2
    assert done.err.startswith(f"error: --pretrained with {' '.join(option)} contradicts itself: ")
    assert done.err.endswith(f"; leave out {option[0]}, or --pretrained\n")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("figures", "expected"),
    [
        (None, "does not exist; install egru-fpga again, or leave out --pretrained"),
        (lambda text: text[:-9], "is not valid JSON"),
        (lambda text: text.replace('"hash": "', '"hash": "0'), "belongs to another model than "),
        (lambda text: text.replace('"where"', '"were"'), "key 'were' in "),
    ],
)
def test_a_damaged_example_is_refused(
    example: Path, figures: Callable[[str], str] | None, expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    damaged = tmp_path / "damaged"
    shutil.copytree(example, damaged)
    path = damaged / "figures.json"
    path.unlink() if figures is None else path.write_text(figures(path.read_text()))
    monkeypatch.setattr("egru.pretrained.PRETRAINED", damaged)
    done = egru("demo", "--pretrained", "--out", tmp_path / "out")
    assert (done.code, done.err.count("\n")) == (2, 1)
    assert expected in done.err


def test_a_pretrained_model_is_built_for_the_board_that_is_given(shipped: Path, tmp_path: Path) -> None:
    # Refused before the first stage, so the board of the command line has reached the flow.
    assert "board 'breadboard' is not known; " in egru("demo", "--pretrained", "--board", "breadboard", "--out", tmp_path / "out").err


def test_checkpoints_are_recorded_with_their_own_recipe_only(example: Path, proved: tuple[Path, Summary], tmp_path: Path) -> None:
    recipe = tmp_path / "recipe.toml"
    recipe.write_text((example / "recipe.toml").read_text().replace("steps = 6", "steps = 7"))
    with pytest.raises(UserError, match=r"checkpoint .*dense was not trained with .*recipe\.toml; "):
        record(proved[0] / "checkpoints", recipe, example / "hardware.toml", "here", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_the_parts_of_the_shipped_example_belong_together() -> None:
    shipped, recipe = load_pretrained(PRETRAINED), load_recipe(PRETRAINED / "recipe.toml")
    config = pretrained_config(PRETRAINED)
    assert shipped.record.model.layers == recipe.dense.network.hidden_sizes
    assert shipped.record.text.name == recipe.data.source == EMBEDDED
    assert (PRETRAINED / "README.md").read_text() == readme(shipped.record)
    # Characters alone can be written as a text, see egru.pretrained.write_text.
    assert all(len(symbol) == 1 for symbol in shipped.model.vocabulary)
    assert config.hardware is not None
    board = load_board(config.build.board)
    check_budget(estimate_on_board(shipped.model, config.hardware, board), board)
