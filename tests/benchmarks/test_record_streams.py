"""The examples of feature streams: what ships belongs together, and what does not is refused."""

import shutil
from pathlib import Path

import pytest

from benchmarks.results_file import require_results
from benchmarks.streams import RESULT_FILE
from benchmarks.streams_results import FLOAT_BITS, Results, StreamRecord
from benchmarks.streams_targets import COMMANDS, DIGITS
from benchmarks.streams_training import recipe_digest
from examples.record_streams import MODEL_FOLDER, README_FILE, RECIPE_FILE, RECORD_FILE, readme, record
from sw_model.errors import UserError
from sw_model.quantized_model import QuantizedModel
from sw_model.train_config import RECIPES, load_recipe

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
EXAMPLE = EXAMPLES / "spoken_digits"


@pytest.fixture
def measured(tmp_path: Path) -> Path:
    """A record with its model beside it, as training leaves them."""
    shutil.copytree(EXAMPLE / MODEL_FOLDER, tmp_path / "seed1-model")
    shutil.copyfile(EXAMPLE / RECORD_FILE, tmp_path / "seed1.json")
    return tmp_path / "seed1.json"


@pytest.mark.parametrize(("name", "dataset"), [("spoken_digits", DIGITS), ("speech_commands", COMMANDS)])
def test_what_ships_belongs_together(name: str, dataset: str) -> None:
    example = EXAMPLES / name
    found = require_results(example / RECORD_FILE, StreamRecord)
    model = QuantizedModel.load(example / MODEL_FOLDER)
    assert found.dataset == dataset
    assert model.content_hash() == found.model_hash
    assert found.weights == sum(layer.input_weight.size + layer.recurrent_weight.size for layer in model.layers) + model.decoder.weight.size
    assert recipe_digest(load_recipe(example / RECIPE_FILE)) == found.recipe_digest
    assert (example / README_FILE).read_text() == readme(found)
    # It is one of the runs whose figures and hardware the results hold.
    run = require_results(EXAMPLES.parent / RESULT_FILE, Results).run(dataset, "egru", found.weight_density, found.weight_bits)
    assert run is not None
    assert run.accuracies[run.seeds.index(found.seed)] == found.evaluation.accuracy
    assert found.model_hash in run.model_hashes


def test_it_is_made_of_a_record(measured: Path, tmp_path: Path) -> None:
    record(measured, EXAMPLE / RECIPE_FILE, tmp_path / "out")
    for path in filter(Path.is_file, EXAMPLE.rglob("*")):
        assert (tmp_path / "out" / path.relative_to(EXAMPLE)).read_bytes() == path.read_bytes()


def test_another_recipe_is_refused(measured: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="was not made with"):
        record(measured, RECIPES / "generated.toml", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_another_model_is_refused(measured: Path, tmp_path: Path) -> None:
    text = measured.read_text()
    measured.write_text(text.replace(require_results(measured, StreamRecord).model_hash or "", "0" * 64))
    with pytest.raises(UserError, match="is of another model"):
        record(measured, EXAMPLE / RECIPE_FILE, tmp_path / "out")


def test_the_table_of_the_page_on_training_is_what_the_results_hold() -> None:
    page, results = (EXAMPLES.parent / "docs" / "sequence_training.md").read_text(), require_results(EXAMPLES.parent / RESULT_FILE, Results)
    for phase, density, bits in (("dense, float", 1.0, FLOAT_BITS), ("pruned, float", 0.1, FLOAT_BITS), ("8-bit weights", 0.1, 8)):
        run = results.run(DIGITS, "egru", density, bits)
        assert run is not None
        accuracies = f"{100 * run.accuracies[run.seeds.index(1)]:.2f} % | {100 * run.accuracy_mean:.2f} %"
        assert f"| {phase} | {accuracies} | {density:.2f} | {run.event_density:.2f} |" in page
    phases = require_results(EXAMPLE / RECORD_FILE, StreamRecord).phases
    dense, prune, qat = (f"{phase.seconds:.0f}" for phase in phases)
    assert f"{dense}, {prune} and {qat} s of one core" in page
    assert f"Dense {phases[0].steps:,} steps, pruning {phases[1].steps:,},\nquantisation {phases[2].steps}:" in page
    commands = require_results(EXAMPLES / "speech_commands" / RECORD_FILE, StreamRecord)
    assert f"trained on one {commands.hardware.removeprefix('NVIDIA ')}: 40 words, {100 * commands.evaluation.accuracy:.2f} %" in page
