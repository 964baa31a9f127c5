import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from benchmarks.paper_results import RunRecord
from benchmarks.paper_training import app, overridden
from sw_model.datasets import load_text
from sw_model.evaluate import evaluate_model
from sw_model.quantized_model import QuantizedModel
from sw_model.train_config import load_recipe

PHASE = """
streams = 16
chunk = 4
validate_every = 4
"""
RECIPE = f"""
[data]
source = "text"
unit = "words"
[dense]
steps = 8
{PHASE}
dropout = {{ word = 0.1, embedding = 0.2, between = 0.2, decoder = 0.2, recurrent = 0.5 }}
[dense.network]
embedding_size = 6
hidden_sizes = [8, 6]
tied_decoder = true
[prune]
steps = 8
{PHASE}
pruning = {{ sparsity = 0.9, schedule = "cubic", start_step = 0, end_step = 4, interval = 2 }}
[qat]
steps = 4
{PHASE}
quantization = {{ weight_bits = 8, decoder_bits = 8 }}
"""
WORDS = ["the", "cat", "sat", "on", "a", "mat", "with", "one", "dog"]


def _lines(seed: int) -> str:
    return "\n".join(" ".join(WORDS[(seed + i * i + 3 * j) % len(WORDS)] for j in range(9)) for i in range(60)) + "\n"


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("paper")
    (folder / "recipe.toml").write_text(RECIPE)
    (folder / "text").mkdir()
    for seed, split in enumerate(("train", "valid", "test")):
        (folder / "text" / f"ptb.{split}.txt").write_text(_lines(seed))
    _train(folder)
    return folder


def _train(folder: Path, *more: str) -> str:
    branches = ("--sparsity", "0", "--sparsity", "0.8", "--weight-bits", "8", "--weight-bits", "4", "--seed", "5", *more)
    where = ("--data", str(folder / "text"), "--out", str(folder / "checkpoints"), "--records", str(folder / "records"))
    result = CliRunner().invoke(app, [*where, "--recipe", str(folder / "recipe.toml"), *branches])
    assert result.exit_code == 0, result.output
    return result.output


def _record(folder: Path, name: str) -> RunRecord:
    return RunRecord.model_validate_json((folder / "records" / name / "run.json").read_text())


def test_every_branch_leaves_a_record(trained: Path) -> None:
    names = {f"recipe-{sparsity}-{kind}-seed5" for sparsity in ("00", "80") for kind in ("float", "w8", "w4")}
    assert {path.name for path in (trained / "records").iterdir()} == names
    pruned, dense = _record(trained, "recipe-80-w4-seed5"), _record(trained, "recipe-00-w8-seed5")
    assert (pruned.sparsity, pruned.weight_bits, pruned.seed) == (0.8, 4, 5)
    assert pruned.weight_density == pytest.approx(0.2, abs=0.01)
    assert dense.weight_density > 0.99
    assert pruned.steps == 20
    assert [point.epoch for point in pruned.curve] == sorted(point.epoch for point in pruned.curve)
    assert len(pruned.curve) == 5


@pytest.mark.parametrize("name", ["recipe-00-w8-seed5", "recipe-80-w4-seed5"])
def test_the_exported_model_is_the_network_that_was_measured(trained: Path, name: str) -> None:
    record, text = _record(trained, name), load_text(trained / "text", "words")
    found = evaluate_model(QuantizedModel.load(trained / "records" / name / "model"), text.test, 31, digest=True)
    assert found.digest == record.digest
    assert list(found.event_density) == record.event_density
    assert sum(found.event_density) > 0


def test_a_finished_series_is_not_trained_again(trained: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in trained.glob("*/*/*") if path.is_file()}
    _train(trained)
    assert {path: path.stat().st_mtime_ns for path in trained.glob("*/*/*") if path.is_file()} == before


def test_a_lost_record_is_made_again_without_training(trained: Path) -> None:
    path = trained / "records" / "recipe-80-w8-seed5" / "run.json"
    before = json.loads(path.read_text())
    path.unlink()
    _train(trained)
    assert json.loads(path.read_text()) == before


def test_another_weight_decay_is_that_of_the_branches(tmp_path: Path) -> None:
    (tmp_path / "recipe.toml").write_text(RECIPE)
    recipe = load_recipe(str(tmp_path / "recipe.toml"))
    changed = overridden(recipe, weight_decay=0.5, seed=7)
    assert (changed.dense.weight_decay, changed.prune.weight_decay, changed.qat.weight_decay) == (recipe.dense.weight_decay, 0.5, 0.5)
    assert {changed.dense.seed, changed.prune.seed, changed.qat.seed} == {7}
