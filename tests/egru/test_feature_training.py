"""The commands on the generated data set: training, pruning, quantisation, export and evaluation of a network of features."""

from pathlib import Path

import pytest
import torch

from egru.training import Processes, require_device
from sw_model.errors import UserError
from sw_model.train_config import RECIPES, TrainConfig
from tests.egru.conftest import egru

RECIPE = RECIPES / "generated.toml"


def test_the_commands_train_and_measure_a_network_of_features(tmp_path: Path) -> None:
    dense, pruned, quantised, model = (tmp_path / name for name in ("dense", "pruned", "quantised", "model"))
    report = egru("train", "--config", RECIPE, "--steps", 6, "--out", dense, "--json").json()
    assert 0 < report["validation_error_rate"] < 1
    assert egru("prune", dense, "--config", RECIPE, "--steps", 4, "--out", pruned, "--json").json()["weight_density"] == pytest.approx(
        0.4, abs=0.01
    )
    egru("train", "--quantise", "--from", pruned, "--config", RECIPE, "--steps", 2, "--out", quantised, "--json").json()
    assert egru("export", quantised, "--out", model, "--json").json()["channels"] == 6
    integer = egru("evaluate", quantised, "--digest", "--json").json()
    trained = egru("evaluate", quantised, "--fake-quantised", "--streams", 90, "--digest", "--json").json()
    exported = egru("evaluate", model, "--jobs", 2, "--digest", "--json").json()
    assert integer == trained
    assert integer | {"kind": "model"} == exported
    confusion = integer["confusion"]
    assert sum(map(sum, confusion)) == integer["sequences"] == 600
    assert integer["accuracy"] == sum(confusion[k][k] for k in range(4)) / 600
    assert integer["macs_per_step"]["layer_0"]["event_sparse"] < integer["macs_per_step"]["layer_0"]["weight_sparse"]
    assert 0 < integer["input_event_density"] <= 1
    floating = egru("evaluate", dense, "--json").json()
    assert floating["macs_per_step"] is None
    shown = egru("evaluate", model)
    for word in ("accuracy", "input event density", "saturated inputs"):
        assert word in shown.out


def test_a_gpu_is_asked_for_by_one_process_and_needs_no_triton(monkeypatch: pytest.MonkeyPatch) -> None:
    config = TrainConfig(steps=1, device="cuda", streams=3)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(UserError, match="needs a GPU"):
        require_device(config, features=True)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    require_device(config, features=True)
    with pytest.raises(UserError, match="are trained by one process"):
        require_device(config, Processes(2, 0, 0), features=True)
