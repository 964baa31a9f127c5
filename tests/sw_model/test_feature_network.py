import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from sw_model import checkpoint
from sw_model.dropout import Dropout, DropoutMasks
from sw_model.equivalence import compare_with_reference
from sw_model.errors import UserError
from sw_model.event_gru import EventNetwork, FeatureNetworkConfig, NetworkConfig
from sw_model.export import export_checkpoint, export_network
from sw_model.import_network import import_network
from sw_model.input_encoding import Encoding, FeatureInput, calibrate, encode
from sw_model.pruning import apply_masks, magnitude_masks, prunable
from sw_model.quantized_model import QuantizedModel
from sw_model.quantizers import QuantizationConfig, QuantizedArithmetic
from sw_model.random_model import draw_events, draw_model
from sw_model.readout import Readout

CASES = [
    (QuantizationConfig(), (24,)),
    (QuantizationConfig(weight_bits=4, decoder_bits=4), (24, 16)),
    (QuantizationConfig(weight_bits=2, decoder_bits=2, event_bits=2, state_bits=8, gate_bits=4, preact_bits=8, preact_frac=4), (16, 16)),
    (QuantizationConfig(event_bits=12, state_bits=16, gate_bits=15, preact_bits=18, preact_frac=16), (16, 12)),
]
FEATURES, SEQUENCES, STEPS = 4, 8, 120


def _streams(encoding: Encoding, event_bits: int, seed: int) -> tuple[FeatureInput, np.ndarray]:
    """Sequences of features that drift, stand still for a while, and leave the range that is calibrated."""
    rng = np.random.default_rng(seed)
    features = np.cumsum(rng.normal(0.0, 0.2, (SEQUENCES, STEPS, FEATURES)), axis=1)
    features[:, 40:60] = features[:, 40:41]
    features[:, 80] = 100.0
    features[:, 81] = -100.0
    frames = features.reshape(-1, FEATURES)
    feature_input = calibrate(frames, event_bits, encoding, quantiles=(0.1, 0.9), delta_threshold=1 if event_bits < 8 else 3)
    encoded = encode(feature_input, event_bits, frames, np.arange(SEQUENCES + 1) * STEPS)
    assert encoded.below.all()
    assert encoded.above.all()
    return feature_input, encoded.values.reshape(SEQUENCES, STEPS, -1)


def _export(network: EventNetwork, feature_input: FeatureInput) -> QuantizedModel:
    return export_network(network, feature_input=feature_input, readout=Readout("mean"))


@pytest.mark.parametrize("encoding", ["dense", "delta"])
@pytest.mark.parametrize("case", range(len(CASES)))
def test_fake_quantised_network_equals_the_integer_reference(
    case: int, encoding: Encoding, lively_network: Callable[..., EventNetwork]
) -> None:
    config, hidden = CASES[case]
    feature_input, inputs = _streams(encoding, config.event_bits, case)
    network = lively_network(config, hidden, case, feature_input.channels)
    result = compare_with_reference(network, inputs, model=_export(network, feature_input), seed=case, chunk=50)
    assert result.steps == SEQUENCES * STEPS
    assert result.mismatches == 0
    assert 0.02 < result.events / (sum(hidden) * result.steps) < 0.98
    if encoding == "delta":
        assert not inputs[:, 41:60].any()  # features that stand still are silent


def test_the_network_that_a_random_model_is_computes_the_same() -> None:
    events = networks = 0
    for seed in range(16):
        rng = np.random.default_rng(seed)
        model = draw_model(rng, trainable=seed % 4 > 0, features=True)
        network = import_network(model)
        if network is None:
            continue
        networks += 1
        again = export_network(network, feature_input=model.feature_input, readout=model.readout)
        assert again.content_hash() == model.content_hash(), f"seed {seed}"
        result = compare_with_reference(network, draw_events(rng, model, (2, 20)), model=model)
        assert result.mismatches == 0, f"seed {seed}"
        events += result.events
    assert networks >= 12
    assert events > 500


def test_a_planted_fault_is_found_and_saved(lively_network: Callable[..., EventNetwork], tmp_path: Path) -> None:
    feature_input, inputs = _streams("dense", 8, 0)
    network = lively_network(QuantizationConfig(), (12,), 0, FEATURES)
    model = _export(network, feature_input)
    model.layers[0].input_weight[:, :, 1] //= 2
    result = compare_with_reference(network, inputs, model=model, failure_folder=tmp_path)
    assert result.mismatches > 0
    assert result.saved is not None
    with np.load(result.saved, allow_pickle=False) as case:
        assert np.array_equal(case["inputs"], inputs[:, int(case["step"])])


def test_a_pruned_network_equals_the_reference(lively_network: Callable[..., EventNetwork]) -> None:
    feature_input, inputs = _streams("delta", 8, 0)
    network = lively_network(QuantizationConfig(), (24, 16), 0, 2 * FEATURES)
    before = torch.count_nonzero(prunable(network)["layers.0.weight"])
    apply_masks(network, magnitude_masks(network, 0.8))
    assert torch.count_nonzero(prunable(network)["layers.0.weight"]) < 0.6 * before
    assert compare_with_reference(network, inputs, model=_export(network, feature_input)).mismatches == 0


def test_the_weights_of_the_features_are_trained_and_dropout_reaches_them() -> None:
    torch.manual_seed(0)
    network = EventNetwork(FeatureNetworkConfig(channels=3, classes=2, hidden_sizes=(6, 5)))
    inputs = torch.rand(7, 4, 3)
    network(inputs).logits.square().sum().backward()  # type: ignore[no-untyped-call]
    assert "layers.0.weight" in dict(network.named_parameters())
    gradient = network.get_parameter("layers.0.weight").grad
    assert gradient is not None
    assert bool(gradient.any())
    masks = DropoutMasks.allocate(Dropout(embedding=0.5), network.mask_shapes(7), torch.device("cpu"))
    assert masks.embedding is not None
    masks.draw().embedding.keep.zero_()  # type: ignore[union-attr]
    assert torch.equal(network(inputs, masks=masks).logits, network(torch.zeros_like(inputs)).logits)


def test_integers_are_no_inputs_of_a_network_of_features() -> None:
    network = EventNetwork(FeatureNetworkConfig(channels=3, classes=2, hidden_sizes=(4,)))
    with pytest.raises(ValueError, match="3 channels"):
        network(torch.ones(5, 1, 3, dtype=torch.int64))
    with pytest.raises(ValueError, match="9 tokens"):
        EventNetwork(NetworkConfig(tokens=9, hidden_sizes=(4,)))(torch.ones(5, 1))


def test_a_network_of_features_has_no_embedding_to_tie() -> None:
    with pytest.raises(ValueError, match="tied_decoder needs an embedding"):
        FeatureNetworkConfig(channels=3, classes=2, hidden_sizes=(64,), tied_decoder=True)


def test_export_needs_an_encoding(lively_network: Callable[..., EventNetwork]) -> None:
    network = lively_network(QuantizationConfig(), (4,), 0, 3)
    with pytest.raises(UserError, match="exactly one input"):
        export_network(network)
    with pytest.raises(UserError, match=r"input_weight of shape \(3, 4, 3\)"):
        _export(network, FeatureInput("dense", np.zeros(4), np.ones(4)))


def test_the_fused_kernels_refuse_features_by_name(cpu: torch.device) -> None:
    from sw_model.fused_stepper import FusedStepper
    from sw_model.train_config import TrainConfig

    network = EventNetwork(FeatureNetworkConfig(channels=3, classes=2, hidden_sizes=(4,)))
    with pytest.raises(UserError, match="a network of 3 channels of features does not fit the fused kernels"):
        FusedStepper(network, TrainConfig(steps=1, streams=16, chunk=4), cpu)


NAMES = ("no", "yes")
READOUTS = [
    Readout("last"),
    Readout("steps", 9),
    Readout("regression", target_offset=np.array([0.1, -3.0]), target_scale=np.array([1 / 3, -2.0])),
]


def _save(folder: Path, readout: Readout, *, quantised: bool = True) -> checkpoint.FeatureDataInfo:
    """Write a checkpoint of a network of 3 features with numbers that have no short decimal form."""
    torch.manual_seed(1)
    network = EventNetwork(FeatureNetworkConfig(channels=6, classes=2, hidden_sizes=(5, 4)))
    config = QuantizationConfig(weight_bits=4) if quantised else None
    arithmetic = None
    if config:
        arithmetic = QuantizedArithmetic(config, 2, features=True)
        arithmetic.calibrate(network)
    rng = np.random.default_rng(2)
    feature_input = FeatureInput("delta", rng.normal(size=3), rng.lognormal(0.0, 20.0, 3), np.array([1, 2, 255], np.int32), ("x", "y", "z"))
    data = checkpoint.FeatureDataInfo.of("strokes", feature_input, readout, NAMES, 62.5)
    manifest = checkpoint.Manifest(
        version=2,
        network=network.config,
        quantization=config,
        exponents=arithmetic.exponents if arithmetic else None,
        data=data,
        step=7,
        metrics={"accuracy": 0.5},
        training={},
    )
    checkpoint.save(folder, manifest, checkpoint.network_tensors(network, magnitude_masks(network, 0.5)))
    return data


@pytest.mark.parametrize("readout", READOUTS)
def test_a_checkpoint_keeps_encoding_and_readout_to_the_last_bit(readout: Readout, tmp_path: Path) -> None:
    data = _save(tmp_path / "phase", readout)
    loaded = checkpoint.load(tmp_path / "phase")
    assert loaded.manifest.data == data
    assert loaded.masks()["layers.0.weight"].shape == (3, 5, 6)
    model = export_checkpoint(tmp_path / "phase")
    assert model.feature_input is not None
    assert model.feature_input.offset.tolist() == list(data.offset)
    assert model.feature_input.scale.tolist() == list(data.scale)
    assert (model.class_names, model.feature_input.names) == (NAMES, ("x", "y", "z"))
    assert model.metadata == {"data": {"name": "strokes", "frame_rate": 62.5}, "metrics": {"accuracy": 0.5}}
    model.save(tmp_path / "model")
    assert QuantizedModel.load(tmp_path / "model").content_hash() == model.content_hash()
    inputs = draw_events(np.random.default_rng(0), model, (2, 20))
    assert compare_with_reference(loaded.network(), inputs, model=model).mismatches == 0


def test_a_float_checkpoint_round_trips(tmp_path: Path) -> None:
    _save(tmp_path / "phase", READOUTS[0], quantised=False)
    network = checkpoint.load(tmp_path / "phase").network()
    assert (network.config.channels, network.config.classes) == (6, 2)
    assert network.embedding is None


@pytest.mark.parametrize(
    ("part", "changed", "message"),
    [
        ("", {"version": 1}, "version 1 disagrees with its network or data"),
        ("network", {"channels": 5}, "an encoding of 6 channels disagrees with channels=5"),
        ("network", {"classes": 3}, r"outputs disagree with classes=3"),
        ("network", {"tokens": 3}, "wrong at network"),
        ("network", {"channels": 0}, "wrong at network"),
        ("data", {"encoding": "dense"}, "disagrees with its delta_threshold"),
        ("data", {"scale": [1.0, -1.0, 1.0]}, "is not above 0"),
        ("data", {"scale": [1.0, float("nan"), 1.0]}, "holds NaN|wrong at data"),
        ("data", {"offset": []}, "shape"),
        ("data", {"delta_threshold": [1, 1, 1 << 40]}, "beyond every event"),
        ("data", {"delta_threshold": [0, 1, 1]}, "one integer from 1"),
        ("data", {"readout_kind": "regression"}, "target_offset"),
        ("data", {"window": 0}, "window=0"),
        ("data", {"class_names": ["one"]}, "class names or targets"),
        ("data", {"unit": "words"}, "wrong at data"),
        ("", {"data": {"name": "t", "unit": "words", "vocabulary": []}}, "version 2 disagrees"),
        ("", {"exponents": {"embedding": 1}}, "exponent of"),
    ],
)
def test_a_damaged_checkpoint(part: str, changed: dict[str, Any], message: str, tmp_path: Path) -> None:
    _save(tmp_path / "phase", READOUTS[0])
    path = tmp_path / "phase" / checkpoint.MANIFEST_FILE
    manifest = json.loads(path.read_text())
    manifest |= {part: manifest[part] | changed} if part else changed
    path.write_text(json.dumps(manifest))
    with pytest.raises(UserError, match=message):
        checkpoint.load(tmp_path / "phase")


def test_a_network_of_features_knows_no_text(tmp_path: Path) -> None:
    _save(tmp_path / "phase", READOUTS[0])
    with pytest.raises(UserError, match="reads no text"):
        checkpoint.load(tmp_path / "phase").text()
