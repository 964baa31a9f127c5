"""The GRU baseline: what is learnt, what its sequences' ends have part in, and what is counted."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import typer
from typer.testing import CliRunner, Result

from benchmarks.gru_baseline import GruConfig, GruNetwork, GruRecord, Training, macs_per_frame, run
from sw_model.augmentation import Augmentation
from sw_model.errors import UserError
from sw_model.feature_dataset import FeatureDataset, FeatureSplit, write_dataset


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def a_config(**changes: Any) -> GruConfig:
    given: dict[str, Any] = {"hidden": 8, "layers": 1, "epochs": 3, "batch": 8, "learning_rate": 2e-2, "weight_decay": 0.0, "dropout": 0.0}
    given |= {"label_smoothing": 0.0, "gradient_clip": 1.0, "augmentation": Augmentation(noise=0.1), "seed": 3, "device": "cpu"}
    return GruConfig(**given | changes)


def command(*arguments: object) -> Result:
    app = typer.Typer()
    app.command()(run)
    return CliRunner().invoke(app, list(map(str, arguments)))


def test_it_learns_and_says_what_it_did(signs: FeatureDataset) -> None:
    record = Training(signs, a_config(layers=2, dropout=0.1, epochs=8)).run()
    assert record.accuracy > 0.9
    assert record.dataset_digest == signs.digest()
    assert record.weights == record.macs_per_frame == 3 * 8 * (2 + 8) + 3 * 8 * (8 + 8) + 8 * 2
    assert record.macs_without_decoder == record.macs_per_frame - 16
    assert record.parameters == record.weights + 4 * 3 * 8 + 2


def test_the_same_seed_gives_the_same_figures(signs: FeatureDataset) -> None:
    first, again, other = (Training(signs, a_config(seed=seed, epochs=1, dropout=0.3)).run() for seed in (5, 5, 6))
    assert first.validation_bits == again.validation_bits != other.validation_bits


def test_what_follows_a_sequence_has_no_part_in_its_logits() -> None:
    torch.manual_seed(1)
    network = GruNetwork(2, 3, a_config(layers=2)).eval()
    alone = torch.randn(5, 1, 2)
    padded = torch.cat([alone, torch.full((4, 1, 2), 1e3)])
    with torch.no_grad():
        assert torch.equal(network(alone, torch.tensor([5])), network(padded, torch.tensor([5])))
        assert not torch.equal(network(alone, torch.tensor([5])), network(padded, torch.tensor([6])))


def test_an_evaluation_is_that_of_every_sequence_alone(signs: FeatureDataset) -> None:
    training, split = Training(signs, a_config()), signs.valid
    bits, accuracy = training.evaluate(split)
    alone = [training.evaluate(split.select(np.array([index]))) for index in range(split.sequences)]
    assert bits == pytest.approx(np.mean([found[0] for found in alone]), rel=1e-5)
    assert accuracy == np.mean([found[1] for found in alone])


def test_a_macs_count_is_that_of_three_gates() -> None:
    assert macs_per_frame(features=40, hidden=192, layers=2, classes=40) == 3 * 192 * (40 + 192) + 3 * 192 * (192 + 192) + 192 * 40


def test_the_command_writes_its_record(signs: FeatureDataset, tmp_path: Path) -> None:
    write_dataset(signs, tmp_path / "data")
    out = tmp_path / "gru" / "seed4.json"
    done = command("--data", tmp_path / "data", "--hidden", 4, "--epochs", 1, "--batch", 16, "--time-shift", 2, "--seed", 4, "--out", out)
    assert done.exit_code == 0, done.output
    record = GruRecord.model_validate_json(out.read_text())
    assert (record.config.hidden, record.config.seed, record.config.augmentation) == (4, 4, Augmentation(time_shift=2))
    assert json.loads(out.read_text())["dataset"] == "signs"


def test_in_a_folder_of_runs_a_finished_one_is_kept(signs: FeatureDataset, tmp_path: Path) -> None:
    write_dataset(signs, tmp_path / "data")
    given = ("--data", tmp_path / "data", "--hidden", 4, "--batch", 16, "--runs", tmp_path / "runs", "--seed", 4)
    assert command(*given, "--epochs", 1).exit_code == 0
    path = tmp_path / "runs" / "signs" / "gru-1-32" / "seed4.json"
    first = path.read_text()
    assert command(*given, "--epochs", 2).exit_code == 0
    assert path.read_text() == first
    assert command(*given, "--out", tmp_path / "out.json").exit_code == 2


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--batch", 65), "too small for streams=65"),
        (("--hidden", 0), "hidden"),
        (("--device", "tpu"), "device"),
        (("--learning-rate", 1e30, "--epochs", 2), "not a number any more"),
    ],
)
def test_what_will_not_do_is_refused(options: tuple[object, ...], words: str, signs: FeatureDataset, tmp_path: Path) -> None:
    write_dataset(signs, tmp_path / "data")
    done = command("--data", tmp_path / "data", "--out", tmp_path / "out.json", "--hidden", 4, *options)
    assert (done.exit_code, words in done.output) == (2, True), done.output
    assert not (tmp_path / "out.json").exists()


def test_a_regression_is_refused(signs: FeatureDataset) -> None:
    targets = np.zeros((signs.test.frames, 1), np.float32)
    split = FeatureSplit(signs.test.features, signs.test.offsets, targets=targets)
    regression = FeatureDataset("r", "regression", split, split, split, feature_names=("a", "b"), target_names=("t",))
    with pytest.raises(UserError, match="is no classification"):
        Training(regression, a_config())
