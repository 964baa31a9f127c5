"""The feature stream runs: trained for a moment, collected, refused where a file is in the wrong place, and the committed page."""

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import typer
from typer.testing import CliRunner, Result

from benchmarks import gru_baseline, streams, streams_training
from benchmarks.results_file import require_results
from benchmarks.streams import PAGE, RESULT_FILE, collect
from benchmarks.streams_report import page
from benchmarks.streams_results import HardwareFigures, HlsFigures, Results, StreamRecord, StreamRun
from benchmarks.streams_targets import COMMANDS, DIGITS, targets
from benchmarks.streams_training import Branch
from hls_gen.hardware_config import HardwareConfig
from hls_gen.hls_project import write_hls_project
from hls_gen.rtl_backend import write
from sw_model.errors import UserError
from sw_model.feature_dataset import FeatureDataset, write_dataset
from sw_model.quantized_model import QuantizedModel

ROOT = Path(__file__).resolve().parents[2]
PHASE = "streams = 16\nvalidate_every = 4\ncheckpoint_every = 0"
RECIPE = f"""
[data]
source = "generated"
[dense]
steps = 8
{PHASE}
[dense.network]
hidden_sizes = [6]
[prune]
steps = 8
{PHASE}
pruning = {{ sparsity = 0.9, start_step = 0, end_step = 4, interval = 2 }}
[qat]
steps = 4
{PHASE}
quantization = {{ weight_bits = 8, decoder_bits = 8 }}
"""


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def command(function: Callable[..., None], *arguments: object) -> Result:
    app = typer.Typer()
    app.command()(function)
    return CliRunner().invoke(app, list(map(str, arguments)))


def train(folder: Path, *more: object) -> Result:
    where = ("--out", folder / "checkpoints", "--runs", folder / "runs", "--data", folder / "data", "--recipe", folder / "small.toml")
    return command(streams_training.run, *where, "--branch", "1:8", "--branch", "0.3:4", *more)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, signs: FeatureDataset) -> Path:
    folder = tmp_path_factory.mktemp("streams")
    (folder / "small.toml").write_text(RECIPE)
    write_dataset(signs, folder / "data")
    for seed in (1, 2):
        done = train(folder, "--seed", seed)
        assert done.exit_code == 0, done.output
        out = folder / "runs" / "signs" / "gru-1-32" / f"seed{seed}.json"
        given = ("--data", folder / "data", "--hidden", 4, "--epochs", 1, "--batch", 16, "--seed", seed, "--out", out)
        assert command(gru_baseline.run, *given).exit_code == 0
    return folder


@pytest.fixture
def runs(trained: Path, tmp_path: Path) -> Path:
    """A copy that a test may change."""
    shutil.copytree(trained / "runs", tmp_path / "runs")
    return tmp_path / "runs"


def record(runs: Path, entry: str, seed: int) -> StreamRecord:
    return require_results(runs / "signs" / entry / f"seed{seed}.json", StreamRecord)


def change(path: Path, edit: Callable[[dict[str, Any]], object]) -> None:
    content = json.loads(path.read_text())
    edit(content)
    path.write_text(json.dumps(content))


def test_every_network_of_a_seed_leaves_its_record(trained: Path) -> None:
    names = {"egru-1-32", "egru-1-8", "egru-0.3-32", "egru-0.3-4", "gru-1-32"}
    assert {path.name for path in (trained / "runs" / "signs").iterdir()} == names
    sparse = record(trained / "runs", "egru-0.3-4", 2)
    assert [phase.phase for phase in sparse.phases] == ["dense", "prune", "qat"]
    assert sparse.equals_fake_quantised
    assert sparse.evaluation.weight_density == pytest.approx(0.3, abs=0.05)
    assert sparse.weights == sparse.evaluation.macs_per_step["with_decoder"]["dense"] if sparse.evaluation.macs_per_step else False
    model = QuantizedModel.load(trained / "runs" / "signs" / "egru-0.3-4" / "seed2-model")
    assert model.content_hash() == sparse.model_hash
    assert {layer.weight_bits for layer in model.layers} == {4}


def test_a_finished_seed_is_neither_trained_nor_measured_again(trained: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in trained.glob("*/*/*/*") if path.is_file()}
    assert train(trained, "--seed", 1).exit_code == 0
    assert {path: path.stat().st_mtime_ns for path in trained.glob("*/*/*/*") if path.is_file()} == before


def test_a_lost_record_is_made_again_without_training(trained: Path) -> None:
    path = trained / "runs" / "signs" / "egru-0.3-4" / "seed1.json"
    before = json.loads(path.read_text())
    path.unlink()
    assert train(trained, "--seed", 1).exit_code == 0
    assert json.loads(path.read_text()) == before


@pytest.mark.parametrize(("left", "words"), [("checkpoints", "checkpoint"), ("runs", "record")])
def test_another_recipe_is_not_taken_for_this_one(left: str, words: str, trained: Path, tmp_path: Path) -> None:
    shutil.copytree(trained / left, tmp_path / left)
    shutil.copytree(trained / "data", tmp_path / "data")
    (tmp_path / "small.toml").write_text(RECIPE.replace("steps = 8\n", "steps = 9\n", 1))
    done = train(tmp_path, "--seed", 1)
    said = " ".join(done.output.split())
    assert (done.exit_code, f"error: {words}" in said, "with another recipe" in said) == (2, True, True), done.output


@pytest.mark.parametrize("given", ["0:8", "1.5:8", "0.1:9", "0.1", "a:b", "0.1:1"])
def test_a_branch_is_a_density_and_a_width(given: str) -> None:
    with pytest.raises(UserError, match="--branch"):
        Branch.parse(given)
    assert Branch.parse("0.1:8") == Branch(0.1, 8)


def test_seeds_become_one_run(runs: Path) -> None:
    found = {(run.cell, run.weight_density, run.weight_bits): run for run in collect(runs, {})}
    run, seeds = found["egru", 0.3, 4], [record(runs, "egru-0.3-4", seed) for seed in (1, 2)]
    assert run.accuracies == [one.evaluation.accuracy for one in seeds]
    assert run.accuracy_mean == pytest.approx(sum(run.accuracies) / 2)
    assert run.accuracy_std == pytest.approx(abs(run.accuracies[0] - run.accuracies[1]) / 2**0.5)
    assert run.model_hashes == [one.model_hash for one in seeds]
    assert (run.seeds, run.phase, run.board, run.cycles_per_frame) == ([1, 2], "qat", None, None)
    assert run.macs_dense is not None
    assert run.macs_per_frame is not None
    assert 0 < run.macs_per_frame < 0.5 * run.macs_dense
    gru = found["gru", 1.0, 32]
    assert (gru.event_density, gru.macs_per_frame, gru.hidden_sizes) == (None, gru.macs_dense, [4])
    assert {found["egru", 1.0, 32].phase, found["egru", 0.3, 32].phase} == {"float", "pruned"}


def _other_model(runs: Path) -> None:
    folder = runs / "signs" / "egru-0.3-4"
    shutil.rmtree(folder / "seed1-model")
    shutil.copytree(folder / "seed2-model", folder / "seed1-model")


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (_other_model, "is not of the model in seed1-model"),
        (lambda runs: shutil.rmtree(runs / "signs" / "egru-1-8" / "seed1-model"), "seed1-model"),
        (lambda runs: (runs / "signs" / "egru-1-8").rename(runs / "signs" / "egru-0.2-8"), "is of egru-1-8, seed 1"),
        (lambda runs: (runs / "signs" / "egru-1-8").rename(runs / "signs" / "dense"), "is not named CELL-DENSITY-BITS"),
        (lambda runs: (runs / "signs" / "gru-1-32").rename(runs / "signs" / "gru-0.5-32"), "no GRU here has"),
        (lambda runs: (runs / "signs").rename(runs / "digits"), "is of signs, not of digits"),
        (
            lambda runs: change(runs / "signs" / "egru-1-32" / "seed2.json", lambda found: found.update(dataset_digest="0" * 64)),
            "was measured on other data than seed1.json",
        ),
        (
            lambda runs: change(runs / "signs" / "egru-1-32" / "seed2.json", lambda found: found.update(recipe_digest="0" * 64)),
            "with another recipe than seed1.json",
        ),
        (
            lambda runs: change(runs / "signs" / "egru-1-32" / "seed1.json", lambda found: found["evaluation"].update(accuracy=0.99)),
            "holds an accuracy that is not",
        ),
        (
            lambda runs: change(runs / "signs" / "egru-1-8" / "seed1.json", lambda found: found.update(weights=found["weights"] + 18)),
            "weights where a frame takes",
        ),
        (
            lambda runs: change(runs / "signs" / "gru-1-32" / "seed2.json", lambda found: found["config"].update(epochs=9)),
            "with another configuration than seed1.json",
        ),
        (lambda runs: (runs / "signs" / "egru-1-32" / "seed1.json").write_text("{"), "is wrong at"),
        (lambda runs: shutil.rmtree(runs / "signs"), "holds no run"),
    ],
)
def test_what_does_not_belong_to_its_place_is_refused(spoil: Callable[[Path], object], words: str, runs: Path) -> None:
    spoil(runs)
    with pytest.raises(UserError) as refused:
        collect(runs, {})
    assert words in str(refused.value)


def test_runs_of_other_data_are_refused(runs: Path, signs: FeatureDataset) -> None:
    assert collect(runs, {"signs": signs.digest()})
    with pytest.raises(UserError, match="than --data"):
        collect(runs, {"signs": "0" * 64})


SIMULATED = {"lanes": 5, "cycles_per_step": 120.0, "steps": 70, "values": 900, "mismatches": 0, "log": "left out"}
SIMULATED |= {"features": {"decisions": 6, "right": 5, "accuracy": 5 / 6}}


@pytest.fixture
def hardware(runs: Path) -> Path:
    """Generated hardware of a run, with outcomes as commands leave them."""
    folder = runs / "signs" / "egru-0.3-4" / "icebreaker"
    write(QuantizedModel.load(folder.parent / "seed2-model"), HardwareConfig(lanes=(2, 2)), folder / "rtl")
    simulated = SIMULATED | {"backend": "rtl", "timing": "measured"}
    built = {"board": "icebreaker", "fmax_mhz": 30.0, "fmax_mhz_per_seed": {"1": 29.0, "2": 30.0, "3": 31.0}, "target_mhz": 12.0}
    built |= {"lut": 4000, "ff": 2000, "bram": 20, "dsp": 4, "spram": 1}
    for part, name, content in (("simulation", "simulation.json", simulated), ("build", "build.json", built)):
        shutil.copytree(folder / "rtl" / "mem", folder / part / "mem")
        (folder / part / name).write_text(json.dumps(content))
    return folder


def test_hardware_is_that_of_a_run(hardware: Path, runs: Path) -> None:
    run = next(run for run in collect(runs, {}) if run.hardware)
    assert (run.weight_bits, run.board, run.cycles_per_frame, run.fmax_mhz) == (4, "icebreaker", 120.0, 30.0)
    assert (run.luts, run.block_rams, run.latency_us) == (4000, 20, 10.0)
    # The data set has 50 frames per second.
    assert run.real_time_factor == 1e6 / 50 / 10
    assert run.hardware[0].model_hash == record(runs, "egru-0.3-4", 2).model_hash
    shutil.rmtree(hardware / "build")
    unbuilt = next(run for run in collect(runs, {}) if run.hardware)
    assert (unbuilt.cycles_per_frame, unbuilt.fmax_mhz, unbuilt.real_time_factor) == (120.0, None, None)


@pytest.mark.parametrize("part", ["simulation", "build"])
def test_an_outcome_of_other_hardware_is_refused(part: str, hardware: Path, runs: Path) -> None:
    image = min((hardware / part / "mem").glob("*.mem"))
    image.write_text(image.read_text() + "\n")
    with pytest.raises(UserError, match="is of other hardware"):
        collect(runs, {})


def test_hardware_of_another_model_is_refused(hardware: Path, runs: Path) -> None:
    other = QuantizedModel.load(runs / "signs" / "egru-1-8" / "seed1-model")
    shutil.rmtree(hardware / "rtl")
    write(other, HardwareConfig(lanes=(2, 2)), hardware / "rtl")
    with pytest.raises(UserError, match="of another model than those beside it"):
        collect(runs, {})


def test_hls_is_that_of_a_run(runs: Path) -> None:
    folder = runs / "signs" / "egru-0.3-4" / "hls"
    model, evaluation = QuantizedModel.load(folder.parent / "seed2-model"), record(runs, "egru-0.3-4", 2).evaluation
    write_hls_project(model, HardwareConfig(lanes=2), folder / "source")
    (folder / "simulation").mkdir()

    def simulated(**features: float) -> None:
        found = SIMULATED | {"backend": "hls", "timing": "estimated", "steps": evaluation.frames, "features": features}
        (folder / "simulation" / "simulation.json").write_text(json.dumps(found))

    simulated(decisions=evaluation.sequences, accuracy=evaluation.accuracy)
    found = next(run for run in collect(runs, {}) if run.hls)
    assert found.hls is not None
    assert (found.hls.model_hash, found.hls.whole_split, found.hls.values_compared) == (model.content_hash(), True, 900)
    simulated(decisions=evaluation.sequences - 1, accuracy=0.25)
    assert not next(run.hls for run in collect(runs, {}) if run.hls).whole_split
    simulated(decisions=evaluation.sequences, accuracy=evaluation.accuracy / 2)
    with pytest.raises(UserError, match="decided otherwise than the model beside it"):
        collect(runs, {})


def a_run(dataset: str, density: float, bits: int, accuracy: float, **more: Any) -> StreamRun:
    given: dict[str, Any] = {"cell": "egru", "phase": "qat", "accuracy_std": None, "accuracies": [accuracy], "seeds": [1]}
    given |= {"event_density": 0.3, "input_event_density": 1.0, "measured_weight_density": density, "macs_per_frame": None}
    given |= {"macs_dense": None, "saturated_inputs": 0, "parameters": 56_000, "weights": 55_424, "hidden_sizes": [128]}
    given |= {"linear_baseline": 0.9, "recipe": "r", "recipe_digest": "0" * 64, "dataset_digest": "1" * 64, "model_hashes": []}
    given |= {"digests": [], "equals_fake_quantised": None, "seconds": 1.0, "trained_on": "CPU"}
    return StreamRun(dataset=dataset, weight_density=density, weight_bits=bits, accuracy_mean=accuracy, **given | more)


def _verdicts(*runs: StreamRun) -> dict[tuple[str, str], bool | None]:
    return {(target.dataset, target.what): target.met for target in targets(Results().with_runs(runs))}


def test_targets_are_judged_by_the_right_runs() -> None:
    assert set(_verdicts().values()) == {None}
    unbuilt = HardwareFigures(
        board="icebreaker", model_hash="2" * 64, lanes=2, cycles_per_frame=1, frames_compared=900, mismatches=0, decisions_compared=50
    )
    hls = HlsFigures(model_hash="2" * 64, decisions_compared=100, frames_compared=900, values_compared=9000, mismatches=0, whole_split=True)
    icebreaker = unbuilt.model_copy(update={"fmax_mhz": 20.0, "real_time_factor": 99.0})
    tang = unbuilt.model_copy(update={"board": "tang_nano_20k", "fmax_mhz": 60.0, "real_time_factor": 100.0, "decisions_compared": 49})
    sparse = a_run(DIGITS, 0.1, 8, 0.9731, hardware=[icebreaker, tang], hls=hls)
    found = _verdicts(a_run(DIGITS, 1, 32, 0.98), sparse, a_run(COMMANDS, 1, 32, 0.9399))
    assert found == {
        (DIGITS, "accuracy of the dense network in percent"): True,
        (DIGITS, "weights of the dense network"): True,
        (DIGITS, "points lost with 10 % of the weights in 8 bits"): True,
        (DIGITS, "builds for icebreaker of that network, on chip"): True,
        (DIGITS, "times as fast as real time on icebreaker"): False,
        (DIGITS, "builds for tang_nano_20k of that network, on chip"): True,
        (DIGITS, "times as fast as real time on tang_nano_20k"): True,
        (DIGITS, "utterances in RTL for icebreaker, every value equal"): True,
        (DIGITS, "utterances in RTL for tang_nano_20k, every value equal"): False,
        (DIGITS, "every test utterance in HLS C++, every value equal"): True,
        (COMMANDS, "accuracy of the dense network in percent"): False,
        (COMMANDS, "points lost with 10 % of the weights in 8 bits"): None,
        (COMMANDS, "builds for ulx3s_85f of that network, on chip"): None,
        (COMMANDS, "utterances in RTL for ulx3s_85f, every value equal"): None,
        (COMMANDS, "every test utterance in HLS C++, every value equal"): None,
    }
    different = unbuilt.model_copy(update={"mismatches": 1})
    partly = hls.model_copy(update={"whole_split": False})
    sparse = a_run(DIGITS, 0.1, 8, 0.9729, hardware=[different], hls=partly)
    worse = _verdicts(a_run(DIGITS, 1, 32, 0.98, weights=60_001), sparse, a_run(DIGITS, 0.1, 4, 0.98))
    assert worse[DIGITS, "builds for icebreaker of that network, on chip"] is None
    assert not worse[DIGITS, "points lost with 10 % of the weights in 8 bits"]
    assert not worse[DIGITS, "weights of the dense network"]
    assert worse[DIGITS, "utterances in RTL for icebreaker, every value equal"] is False
    assert worse[DIGITS, "every test utterance in HLS C++, every value equal"] is False


@pytest.mark.usefixtures("hardware")
def test_the_command_adds_runs_and_writes_the_page(runs: Path, trained: Path, tmp_path: Path) -> None:
    out = tmp_path / "streams.json"
    out.write_text(Results().with_runs([a_run("elsewhere", 1, 32, 0.5), a_run("signs", 1, 32, 0.5)]).model_dump_json())
    done = command(streams.run, "--runs", runs, "--data", trained / "data", "--out", out, "--report", tmp_path)
    assert done.exit_code == 0, done.output
    results = require_results(out, Results)
    assert [run.dataset for run in results.runs].count("signs") == 5
    assert results.run("elsewhere", "egru", 1, 32) is not None
    dense = results.run("signs", "egru", 1, 32)
    assert dense is not None
    assert dense.seeds == [1, 2]
    assert results.targets == targets(results)
    shown = (tmp_path / PAGE).read_text()
    assert shown == page(results)
    assert (
        "| EGRU, 30 % of the weights, 4 bits | icebreaker | 5 | 70, 0 differ | 120.0 | 4,000 | 20 | 1 | 30.0 | 12 | 10.0 | 2,000 |" in shown
    )


def test_nothing_asked_for_is_a_mistake() -> None:
    assert command(streams.run).exit_code == 2


def test_the_page_is_made_of_the_committed_results() -> None:
    results = require_results(ROOT / RESULT_FILE, Results)
    assert results.targets == targets(results)
    assert (ROOT / "docs" / PAGE).read_text() == page(results)
