from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from sw_model import checkpoint, text_training, train
from sw_model.datasets import TextDataset
from sw_model.errors import UserError
from sw_model.export import export_checkpoint
from sw_model.macs import weight_density
from sw_model.ngram import bits_per_symbol
from sw_model.train import Batches, TrainConfig, evaluate_checkpoint, learning_rate, progress_folder, run_phase

BASE: dict[str, Any] = {
    "steps": 12,
    "streams": 4,
    "chunk": 8,
    "validate_every": 5,
    "checkpoint_every": 4,
    "warmup_steps": 2,
    "dropout": {"between": 0.1, "decoder": 0.1, "embedding": 0.1, "recurrent": 0.1},
    "network": {"hidden_sizes": (8, 8), "embedding_size": 4, "learn_thresholds": True, "threshold_mean": 0.1},
    "activity": {"target": 0.1, "weight": 0.5},
}


def _config(**values: Any) -> TrainConfig:
    return TrainConfig.model_validate(BASE | values)


def _stop_at(monkeypatch: pytest.MonkeyPatch, step: int) -> None:
    """Let training be interrupted as by a user at ``step``."""
    original = train._Phase.train_step

    def interrupted(self: train._Phase) -> Tensor:
        if self.step == step:
            raise KeyboardInterrupt
        return original(self)

    monkeypatch.setattr(train._Phase, "train_step", interrupted)


@pytest.mark.parametrize("values", [{}, {"quantization": {}, "pruning": {"sparsity": 0.7, "end_step": 8, "interval": 2}}])
def test_a_resumed_run_ends_with_the_same_bits(
    values: dict[str, Any], text: TextDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = _config(**values)
    whole = run_phase(config, text, tmp_path / "whole", progress=False)
    with monkeypatch.context() as patch:
        _stop_at(patch, 10)
        with pytest.raises(KeyboardInterrupt):
            run_phase(config, text, tmp_path / "resumed", progress=False)
    assert not (tmp_path / "resumed").exists()
    assert checkpoint.load(progress_folder(tmp_path / "resumed")).manifest.step == 8
    torch.manual_seed(99)  # what else the process did must not matter
    resumed = run_phase(config, text, tmp_path / "resumed", resume=True, progress=False)
    first, second = checkpoint.load(tmp_path / "whole"), checkpoint.load(tmp_path / "resumed")
    assert first.tensors.keys() == second.tensors.keys()
    for name, tensor in first.tensors.items():
        assert torch.equal(tensor, second.tensors[name]), name
    assert {k: v for k, v in whole.items() if k != "seconds"} == {k: v for k, v in resumed.items() if k != "seconds"}
    assert not progress_folder(tmp_path / "resumed").exists()


def test_the_same_seed_gives_the_same_network_and_another_another(text: TextDataset, tmp_path: Path) -> None:
    tensors = []
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        run_phase(_config(seed=seed), text, tmp_path / name, progress=False)
        tensors.append(checkpoint.load(tmp_path / name).tensors["parameter.decoder_weight"])
    assert torch.equal(tensors[0], tensors[1])
    assert not torch.equal(tensors[0], tensors[2])


def test_training_leaves_the_callers_generator_alone(text: TextDataset, tmp_path: Path) -> None:
    torch.manual_seed(5)
    wanted = torch.rand(3)
    torch.manual_seed(5)
    run_phase(_config(steps=2), text, tmp_path / "a", progress=False)
    assert torch.equal(torch.rand(3), wanted)


def test_three_phases_learn_prune_and_quantise(text: TextDataset, tmp_path: Path) -> None:
    """The whole way in small: it must learn, keep the masks through QAT and export what was trained."""
    common = {
        "streams": 8,
        "chunk": 10,
        "learning_rate": 0.02,
        "validate_every": 40,
        "checkpoint_every": 0,
        "dropout": {},
        "activity": None,
    }
    network = {"hidden_sizes": (16, 16), "embedding_size": 8, "threshold_mean": 0.05, "learn_thresholds": True, "update_bias": 1.0}
    dense = run_phase(_config(**common, network=network, steps=120), text, tmp_path / "dense", progress=False)
    assert dense["validation_bits"] < bits_per_symbol(text, 1, "valid") - 0.3
    pruning = {"sparsity": 0.6, "end_step": 40, "interval": 5}
    pruned = run_phase(_config(**common, steps=80, pruning=pruning), text, tmp_path / "prune", tmp_path / "dense", progress=False)
    assert pruned["weight_density"] == pytest.approx(0.4, abs=1e-3)
    assert pruned["best_step"] > 40
    quantised = run_phase(
        _config(**common, steps=40, quantization={"weight_bits": 6}), text, tmp_path / "qat", tmp_path / "prune", progress=False
    )
    before, after = checkpoint.load(tmp_path / "prune"), checkpoint.load(tmp_path / "qat")
    for name, mask in before.masks().items():
        assert torch.equal(after.masks()[name], mask)
        assert not bool(after.tensors[checkpoint.PARAMETER + name][~mask].any())
    model = export_checkpoint(tmp_path / "qat")
    # a kept weight may round to zero as well, never the other way round
    assert weight_density(model) <= quantised["weight_density"] <= 0.4001
    floating, integer = evaluate_checkpoint(tmp_path / "qat", text), evaluate_checkpoint(tmp_path / "qat", text, integer=True)
    assert floating.event_density == integer.event_density
    assert floating.bits_per_symbol == pytest.approx(integer.bits_per_symbol, rel=1e-12)
    assert integer.bits_per_symbol < bits_per_symbol(text, 1, "test") - 0.3


def test_activity_pressure_lowers_the_event_density(text: TextDataset, tmp_path: Path) -> None:
    settings = {"steps": 40, "learning_rate": 0.02, "network": {"hidden_sizes": (16,), "embedding_size": 4, "learn_thresholds": True}}
    free = run_phase(_config(**settings, activity=None), text, tmp_path / "free", progress=False)
    pressed = run_phase(_config(**settings, activity={"target": 0.1, "weight": 5.0}), text, tmp_path / "pressed", progress=False)
    assert pressed["history"][-1]["event_density"] < free["history"][-1]["event_density"] - 0.1


def test_patience_stops_early_and_restores_the_best(text: TextDataset, tmp_path: Path) -> None:
    # A learning rate that wrecks the network: the first validation stays the best.
    metrics = run_phase(
        _config(steps=60, learning_rate=2.0, gradient_clip=100.0, warmup_steps=40, validate_every=2, patience=3),
        text,
        tmp_path / "a",
        progress=False,
    )
    assert metrics["steps"] < 60
    assert metrics["best_step"] == metrics["steps"] - 6
    assert metrics["validation_bits"] == min(entry["bits"] for entry in metrics["history"])


def test_an_event_density_within_the_limit_is_preferred(text: TextDataset, tmp_path: Path) -> None:
    phase = train._Phase(_config(max_event_density=0.3), text, None)
    dense, sparse = {"event_density": 0.5, "bits": 1.0}, {"event_density": 0.2, "bits": 2.0}
    assert phase._rank(sparse) < phase._rank(dense)
    assert phase._rank({"event_density": 0.3, "bits": 1.5}) < phase._rank(sparse)


def test_batches_run_through_the_text_and_begin_every_epoch_elsewhere() -> None:
    batches = Batches(np.arange(100), _config(streams=4, chunk=8))  # three chunks of 24 of a stream's 25 symbols
    starts = []
    for epoch in range(3):
        chunks = [batches.at(3 * epoch + index) for index in range(3)]
        assert [first for _, first in chunks] == [True, False, False]
        dealt = torch.cat([chunks[0][0], *(chunk[1:] for chunk, _ in chunks[1:])])
        assert all(torch.equal(chunk[0], before[-1]) for (before, _), (chunk, _) in pairwise(chunks))
        starts.append(int(dealt[0, 0]))
        # Every stream goes on where the one before it ends.
        wanted = (starts[-1] + torch.arange(100).view(4, 25).T) % 100
        assert torch.equal(dealt, wanted)
    assert len(set(starts)) == 3


def test_every_process_gets_its_own_streams(monkeypatch: pytest.MonkeyPatch) -> None:
    config, tokens, steps = _config(streams=6, chunk=8), np.arange(200), (0, 1, 7)
    whole = Batches(tokens, config)
    wanted = [whole.at(step) for step in steps]
    monkeypatch.setattr(text_training, "ranks", lambda: 3)
    for rank in range(3):
        monkeypatch.setattr(text_training, "rank", lambda rank=rank: rank)
        own = Batches(tokens, config)
        for step, (chunk, first) in zip(steps, wanted, strict=True):
            found, begins = own.at(step)
            assert torch.equal(found, chunk[:, 2 * rank : 2 * rank + 2])
            assert begins == first


def test_learning_rate_warms_up_and_follows_a_cosine() -> None:
    config = _config(steps=101, warmup_steps=10, learning_rate=1.0, final_learning_rate=0.1, cosine_from=20)
    assert learning_rate(config, 0) == pytest.approx(0.1)
    assert learning_rate(config, 9) == learning_rate(config, 20) == pytest.approx(1.0)
    assert learning_rate(config, 60) == pytest.approx(0.55)
    assert learning_rate(config, 100) == pytest.approx(0.1)


def test_used_folders_are_refused(text: TextDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = _config()
    metrics = run_phase(config, text, tmp_path / "a", progress=False)
    with pytest.raises(UserError, match="already holds results"):
        run_phase(config, text, tmp_path / "a", progress=False)
    assert run_phase(config, text, tmp_path / "a", resume=True, progress=False) == metrics
    with monkeypatch.context() as patch:
        _stop_at(patch, 5)
        with pytest.raises(KeyboardInterrupt):
            run_phase(config, text, tmp_path / "b", progress=False)
    with pytest.raises(UserError, match="holds an unfinished run"):
        run_phase(config, text, tmp_path / "b", progress=False)
    with pytest.raises(UserError, match="has another configuration"):
        run_phase(_config(learning_rate=0.5), text, tmp_path / "b", resume=True, progress=False)
    run_phase(config, text, tmp_path / "b", force=True, progress=False)


def test_another_text_is_refused(text: TextDataset, tmp_path: Path) -> None:
    run_phase(_config(), text, tmp_path / "a", progress=False)
    other = replace(text, vocabulary=tuple("ijklmnop"))
    with pytest.raises(UserError, match="has another vocabulary"):
        run_phase(_config(), other, tmp_path / "b", tmp_path / "a", progress=False)
    with pytest.raises(UserError, match="has another vocabulary"):
        evaluate_checkpoint(tmp_path / "a", other)
    assert not (tmp_path / "b").exists()


def test_a_text_too_short_for_the_streams_is_refused(text: TextDataset, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is too short for streams=500 of chunk=8"):
        run_phase(_config(streams=500), text, tmp_path / "a", progress=False)


def test_a_loss_that_is_no_number_ends_training(text: TextDataset, tmp_path: Path) -> None:
    phase = train._Phase(_config(), text, None)
    with torch.no_grad():
        phase.network.decoder_bias[0] = float("nan")
    with pytest.raises(UserError, match="training loss at step 0 is not a number"):
        phase.run(tmp_path / "unfinished", show=False)
