import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from sw_model.equivalence import compare_with_reference
from sw_model.event_gru import EventNetwork
from sw_model.export import export_network
from sw_model.pruning import apply_masks, magnitude_masks
from sw_model.quantizers import QuantizationConfig

CASES = [
    (QuantizationConfig(), (24,)),
    (QuantizationConfig(weight_bits=4, decoder_bits=4), (24, 16)),
    (QuantizationConfig(weight_bits=2, decoder_bits=2), (16, 16, 16)),
    (QuantizationConfig(event_bits=2, state_bits=8, gate_bits=4, preact_bits=8, preact_frac=4), (16, 16)),
    (QuantizationConfig(event_bits=12, state_bits=16, gate_bits=15, preact_bits=18, preact_frac=16), (16, 16)),
    (QuantizationConfig(weight_bits=3, event_bits=5, state_bits=12, gate_bits=11, preact_bits=10, preact_frac=4), (16, 8, 12)),
    (QuantizationConfig(weight_bits=6, event_bits=9, state_bits=10, gate_bits=9, preact_bits=18, preact_frac=6), (24,)),
]


@pytest.mark.parametrize("case", range(len(CASES)))
def test_fake_quantised_network_equals_the_integer_reference(case: int, lively_network: Callable[..., EventNetwork]) -> None:
    config, hidden = CASES[case]
    network = lively_network(config, hidden, case)
    tokens = np.random.default_rng(case).integers(0, 17, (8, 260))
    result = compare_with_reference(network, tokens, seed=case)
    assert result.steps == 2080
    assert result.mismatches == 0
    assert 0.02 < result.events / (sum(hidden) * result.steps) < 0.98
    assert network.decoder_bias.dtype == torch.float32


def test_pruned_network_equals_the_reference(lively_network: Callable[..., EventNetwork]) -> None:
    network = lively_network(QuantizationConfig(), (24, 24), 3)
    apply_masks(network, magnitude_masks(network, 0.9))
    tokens = np.random.default_rng(0).integers(0, 17, (4, 100))
    assert compare_with_reference(network, tokens, chunk=7).mismatches == 0


def test_a_planted_fault_is_found_and_saved(
    lively_network: Callable[..., EventNetwork], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    network = lively_network(QuantizationConfig(), (12, 8), 5)
    model = export_network(network)
    threshold = model.layers[1].threshold.copy()
    threshold[6] += 1
    broken = dataclasses.replace(model, layers=(model.layers[0], dataclasses.replace(model.layers[1], threshold=threshold)))
    tokens = np.random.default_rng(5).integers(0, 17, (4, 200))
    result = compare_with_reference(network, tokens, model=broken, failure_folder=tmp_path, seed=5)
    assert result.mismatches > 0
    assert "seed 5" in capsys.readouterr().out
    assert result.saved is not None
    with np.load(result.saved, allow_pickle=False) as case:
        assert case["layer1_found_events"].shape == case["layer1_expected_events"].shape == (4, 8)
        assert case["tokens"].tolist() == tokens[:, int(case["step"])].tolist()
