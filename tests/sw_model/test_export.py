from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from sw_model.datasets import TextDataset
from sw_model.errors import UserError
from sw_model.event_gru import EventNetwork, NetworkConfig
from sw_model.export import export_checkpoint, export_network
from sw_model.quantizers import QuantizationConfig, QuantizedArithmetic
from sw_model.train import TrainConfig, run_phase


def test_float_network_is_refused() -> None:
    with pytest.raises(UserError, match="the network is not quantised"):
        export_network(EventNetwork(NetworkConfig(tokens=3, hidden_sizes=(4,))))


def test_uncalibrated_network_is_refused() -> None:
    network = EventNetwork(NetworkConfig(tokens=3, hidden_sizes=(4,)), QuantizedArithmetic(QuantizationConfig(), 1))
    with pytest.raises(UserError, match="has not been calibrated"):
        export_network(network)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_no_number_are_named(value: float, lively_network: Callable[..., EventNetwork]) -> None:
    network = lively_network(QuantizationConfig(), (8, 8), 1)
    with torch.no_grad():
        network.event_layers()[1].recurrent_weight[1, 2, 3] = value
    with pytest.raises(UserError, match=r"tensor layers\.1\.recurrent_weight holds NaN or Inf"):
        export_network(network)


def test_float_checkpoint_is_refused(text: TextDataset, tmp_path: Path) -> None:
    config = TrainConfig.model_validate({"steps": 1, "streams": 4, "chunk": 8, "network": {"hidden_sizes": (8,), "embedding_size": 4}})
    run_phase(config, text, tmp_path / "dense", progress=False)
    with pytest.raises(UserError, match="is not quantised; run a QAT phase"):
        export_checkpoint(tmp_path / "dense")


def test_export_carries_vocabulary_and_metrics(text: TextDataset, tmp_path: Path) -> None:
    settings = {
        "steps": 2,
        "streams": 4,
        "chunk": 8,
        "network": {"hidden_sizes": (8,), "embedding_size": 4},
        "quantization": {"weight_bits": 5},
    }
    run_phase(TrainConfig.model_validate(settings), text, tmp_path / "qat", progress=False)
    model = export_checkpoint(tmp_path / "qat")
    assert model.vocabulary == text.vocabulary
    assert model.layers[0].weight_bits == 5
    assert model.metadata["metrics"]["steps"] == 2
    model.save(tmp_path / "artifact")
