from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from sw_model import checkpoint, train
from sw_model.errors import UserError
from sw_model.export import export_checkpoint
from sw_model.feature_dataset import FeatureDataset, FeatureSplit, offsets_of
from sw_model.sequence_evaluation import evaluate_sequence_model, evaluate_sequences
from sw_model.sequence_training import SequenceBatch, SequenceBatches, SequenceTask, sequence_loss
from sw_model.train import TrainConfig, progress_folder, run_phase

BASE: dict[str, Any] = {
    "steps": 12,
    "streams": 8,
    "validate_every": 5,
    "checkpoint_every": 4,
    "learning_rate": 1e-2,
    "dropout": {"embedding": 0.1, "between": 0.1, "decoder": 0.1, "recurrent": 0.1},
    "network": {"hidden_sizes": (8, 6), "learn_thresholds": True, "threshold_mean": 0.1},
    "activity": {"target": 0.1, "weight": 0.5},
    "augmentation": {"time_shift": 1, "time_mask": 2, "feature_mask": 1, "noise": 0.1},
    "label_smoothing": 0.05,
}


def _config(**values: Any) -> TrainConfig:
    return TrainConfig.model_validate(BASE | values)


def _dataset(*, regression: bool = False, sequences: int = 40) -> FeatureDataset:
    """Sequences of 3 to 14 frames; the class is the feature that is largest, the target a running mean."""
    rng = np.random.default_rng(7)

    def split(count: int) -> FeatureSplit:
        offsets = offsets_of(rng.integers(3, 15, count))
        labels = rng.integers(0, 3, count)
        features = rng.normal(0.0, 0.5, (int(offsets[-1]), 3))
        features[np.arange(len(features)), np.repeat(labels, np.diff(offsets))] += 1.5
        features = features.astype(np.float32)
        if regression:
            return FeatureSplit(features, offsets, targets=(3.0 + 2.0 * features[:, :1] - features[:, 1:2]))
        return FeatureSplit(features, offsets, labels)

    train_split, valid, test = (split(count) for count in (sequences, 20, 30))
    if regression:
        return FeatureDataset("made", "regression", train_split, valid, test, ("x", "y", "z"), target_names=("t",))
    return FeatureDataset("made", "classification", train_split, valid, test, ("x", "y", "z"), ("a", "b", "c"))


@pytest.mark.parametrize("values", [{}, {"quantization": {}, "pruning": {"sparsity": 0.7, "end_step": 8, "interval": 2}}])
def test_a_resumed_run_ends_with_the_same_bits(values: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config, dataset = _config(**values), _dataset()
    whole = run_phase(config, dataset, tmp_path / "whole", progress=False)
    original = train._Phase.train_step

    def interrupted(self: train._Phase) -> Tensor:
        if self.step == 10:
            raise KeyboardInterrupt
        return original(self)

    with monkeypatch.context() as patch:
        patch.setattr(train._Phase, "train_step", interrupted)
        with pytest.raises(KeyboardInterrupt):
            run_phase(config, dataset, tmp_path / "resumed", progress=False)
    assert checkpoint.load(progress_folder(tmp_path / "resumed")).manifest.step == 8
    torch.manual_seed(99)
    resumed = run_phase(config, dataset, tmp_path / "resumed", resume=True, progress=False)
    first, second = checkpoint.load(tmp_path / "whole"), checkpoint.load(tmp_path / "resumed")
    assert first.tensors.keys() == second.tensors.keys()
    for name, tensor in first.tensors.items():
        assert torch.equal(tensor, second.tensors[name]), name
    assert {k: v for k, v in whole.items() if k != "seconds"} == {k: v for k, v in resumed.items() if k != "seconds"}


def test_an_epoch_sees_every_sequence_once_in_an_order_of_its_own() -> None:
    dataset, config = _dataset(), _config()
    task = SequenceTask(dataset, config)
    batches = SequenceBatches(dataset.train, config, task.info.feature_input(), task.info.readout(), 8)
    epochs = [np.concatenate([batches.order.at(5 * epoch + step) for step in range(5)]) for epoch in range(2)]
    assert all(sorted(epoch) == list(range(40)) for epoch in epochs)
    assert not np.array_equal(epochs[0], epochs[1])
    # Whatever was asked for before.
    assert torch.equal(batches.at(3).inputs, SequenceTask(dataset, config).batch(3)[0].inputs)


@pytest.mark.parametrize("kind", ["mean", "last", "steps", "regression"])
def test_padding_adds_nothing_to_a_loss(kind: Any) -> None:
    torch.manual_seed(1)
    lengths, logits = torch.tensor([2, 5]), torch.randn(5, 2, 3, dtype=torch.float64)
    labels, targets = torch.tensor([2, 0]), torch.randn(5, 2, 3, dtype=torch.float64)
    batch = SequenceBatch(torch.zeros(5, 2, 1), lengths, labels, targets)
    found = sequence_loss(kind, logits, batch)
    logits[2:, 0] = 77.0
    targets[2:, 0] = -5.0
    assert sequence_loss(kind, logits, batch) == found
    own = [logits[:2, 0], logits[:, 1]]
    log_p = [one.log_softmax(-1) for one in own]
    wanted = {
        "mean": -sum(one.mean(0).log_softmax(-1)[label] for one, label in zip(own, labels, strict=True)) / 2,
        "last": -sum(one[-1, label] for one, label in zip(log_p, labels, strict=True)) / 2,
        "steps": -sum(one[:, label].sum() for one, label in zip(log_p, labels, strict=True)) / 7,
        "regression": (((own[0] - targets[:2, 0]) ** 2).sum() + ((own[1] - targets[:, 1]) ** 2).sum()) / 21,
    }[kind]
    assert float(found) == pytest.approx(float(wanted), rel=1e-12)


@pytest.mark.parametrize("readout", ["mean", "last", "steps", "regression"])
def test_integers_give_the_figures_of_the_trained_network_whatever_the_padding(readout: str, tmp_path: Path) -> None:
    dataset = _dataset(regression=readout == "regression")
    features = {"readout": "mean" if readout == "regression" else readout, "encoding": "delta" if readout == "last" else "dense"}
    run_phase(_config(features=features, quantization={}), dataset, tmp_path / "qat", progress=False)
    loaded = checkpoint.load(tmp_path / "qat")
    model, data = export_checkpoint(tmp_path / "qat"), loaded.features()
    network = loaded.network().double()
    found = [evaluate_sequence_model(model, dataset.test, streams, jobs=streams, digest=True) for streams in (1, 7)]
    for streams in (1, 30):
        arguments = (dataset.test, data.feature_input(), data.readout(), data.event_bits, streams)
        found.append(evaluate_sequences(network, *arguments, digest=True))
    for one in found[1:]:
        assert (one.bits, one.digest, one.saturated, one.events.steps) == (
            found[0].bits, found[0].digest, found[0].saturated, found[0].events.steps,
        )  # fmt: skip
        for ours, theirs in zip((*one.events.sent, *one.events.last), (*found[0].events.sent, *found[0].events.last), strict=True):
            assert np.array_equal(ours, theirs)
        for name in ("confusion", "squared_error"):
            assert repr(getattr(one, name)) == repr(getattr(found[0], name)), name
        assert one.events.input_density == found[0].events.input_density
    assert found[0].saturated > 0
    assert sum(layer.sum() for layer in found[0].events.sent) > 0


@pytest.mark.parametrize("regression", [False, True])
def test_it_learns(regression: bool, tmp_path: Path) -> None:
    dataset = _dataset(regression=regression, sequences=200)
    plain: dict[str, Any] = {
        "activity": None,
        "augmentation": {},
        "dropout": {},
        "steps": 150,
        "validate_every": 50,
        "label_smoothing": 0.0,
    }
    metrics = run_phase(_config(**plain), dataset, tmp_path / "dense", progress=False)
    if regression:
        assert metrics["validation_squared_error"] < 0.5
        assert "validation_bits" not in metrics
    else:
        assert metrics["validation_error_rate"] < 0.2


def test_what_does_not_fit_is_refused(tmp_path: Path) -> None:
    dataset = _dataset()
    with pytest.raises(UserError, match="too small for streams=64"):
        SequenceTask(dataset, _config(streams=64))
    with pytest.raises(UserError, match="event_bits=6 of the quantisation"):
        SequenceTask(dataset, _config(quantization={"event_bits": 6}))
    run_phase(_config(steps=1), dataset, tmp_path / "a", progress=False)
    with pytest.raises(UserError, match="does no regression"):
        run_phase(_config(), _dataset(regression=True), tmp_path / "b", tmp_path / "a", progress=False)
