import dataclasses
import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load, save

from sw_model.errors import UserError
from sw_model.fixed_point import Formats
from sw_model.input_encoding import FeatureInput
from sw_model.model_manifest import MANIFEST_FILE, TENSORS_FILE
from sw_model.quantized_model import QuantizedModel
from sw_model.random_model import RandomModelSpec, draw_events, draw_model, random_model
from sw_model.readout import Readout
from sw_model.reference import BatchedReference, EventDrivenStream

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "pydoc_topics"
DRAWS = 40


def _model(encoding: Any = "delta", readout: Readout | None = None) -> QuantizedModel:
    model = random_model(RandomModelSpec(hidden=(8, 12), classes=2, features=3, encoding=encoding, seed=7))
    assert model.feature_input is not None
    named = dataclasses.replace(model.feature_input, names=("energy", "é", ""))
    return dataclasses.replace(
        model, feature_input=named, readout=readout or Readout("steps", 5), class_names=("no", "yes"), metadata={"accuracy": 0.5}
    )


REGRESSION = Readout("regression", target_offset=np.array([1.0, -2.0]), target_scale=np.array([0.1, 3.0]))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    _model(readout=REGRESSION).save(tmp_path / "model")
    return tmp_path / "model"


def _edit_manifest(folder: Path, **values: Any) -> None:
    path = folder / MANIFEST_FILE
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def _edit_tensors(folder: Path, **values: np.ndarray | None) -> None:
    """Replace tensors and mend the hash, so that the check behind it is reached."""
    tensors = load((folder / TENSORS_FILE).read_bytes())
    tensors |= {name.replace("__", "."): value for name, value in values.items() if value is not None}
    data = save({name: value for name, value in tensors.items() if values.get(name.replace(".", "__"), value) is not None})
    (folder / TENSORS_FILE).write_bytes(data)
    _edit_manifest(folder, tensors_sha256=hashlib.sha256(data).hexdigest())


@pytest.mark.parametrize("encoding", ["dense", "delta"])
@pytest.mark.parametrize("readout", [Readout("last"), Readout("mean"), Readout("steps", 7), REGRESSION])
def test_round_trip(encoding: str, readout: Readout, tmp_path: Path) -> None:
    model = _model(encoding, readout)
    model.save(tmp_path / "model")
    again = QuantizedModel.load(tmp_path / "model")
    assert again.content_hash() == model.content_hash()
    assert again.class_names == model.class_names
    assert again.metadata == model.metadata
    assert again.feature_input is not None
    assert again.readout is not None
    assert (again.feature_input.encoding, again.feature_input.names) == (encoding, ("energy", "é", ""))
    assert (again.readout.kind, again.readout.window) == (readout.kind, readout.window)
    again.save(tmp_path / "again")
    for name in (MANIFEST_FILE, TENSORS_FILE):
        assert (tmp_path / "again" / name).read_bytes() == (tmp_path / "model" / name).read_bytes()


def test_a_committed_model_of_tokens_keeps_its_bytes_and_hash(tmp_path: Path) -> None:
    model = QuantizedModel.load(EXAMPLE / "model")
    assert model.content_hash() == json.loads((EXAMPLE / "figures.json").read_text())["model"]["hash"]
    model.save(tmp_path / "model")
    for name in (MANIFEST_FILE, TENSORS_FILE):
        assert (tmp_path / "model" / name).read_bytes() == (EXAMPLE / "model" / name).read_bytes()
    assert random_model(RandomModelSpec()).content_hash().startswith("2b8d7fcb1f2b0aa5")
    assert draw_model(np.random.default_rng(7)).content_hash().startswith("a34d8028d0601c3d")


def test_the_hash_covers_encoding_and_readout_but_no_names() -> None:
    model = _model(readout=REGRESSION)
    assert model.feature_input is not None
    inputs, one_ulp = model.feature_input, np.nextafter(model.feature_input.offset, 1e9)
    higher = np.array([200, 201, 202], np.int32)
    other = [
        dataclasses.replace(model, feature_input=dataclasses.replace(inputs, offset=one_ulp)),
        dataclasses.replace(model, feature_input=dataclasses.replace(inputs, scale=2.0 * inputs.scale)),
        dataclasses.replace(model, feature_input=dataclasses.replace(inputs, delta_threshold=higher)),
        dataclasses.replace(model, readout=dataclasses.replace(REGRESSION, target_scale=np.array([0.1, 2.0]))),
        dataclasses.replace(model, readout=Readout("mean")),
        dataclasses.replace(model, readout=Readout("steps", 1)),
        dataclasses.replace(model, readout=Readout("steps", 2)),
    ]
    assert len({each.content_hash() for each in [model, *other]}) == 8
    unnamed = dataclasses.replace(model, class_names=(), metadata={}, feature_input=dataclasses.replace(inputs, names=()))
    assert unnamed.content_hash() == model.content_hash()


def test_the_input_table_is_the_bias() -> None:
    model = _model()
    assert (model.tokens, model.channels, model.layers[0].inputs) == (0, 6, 6)
    assert np.array_equal(model.input_table(), model.layers[0].bias[np.newaxis])


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"version": 1}, "manifest .* is wrong at input_projection"),
        ({"feature_input": {"encoding": "spikes"}}, r"wrong at feature_input\.encoding"),
        ({"feature_input": {"encoding": "dense"}}, r"tensor feature_input\.delta_threshold is not part"),
        ({"feature_input": None}, "wrong at feature_input"),
        ({"readout": {"kind": "mean", "window": 1}}, r"tensor readout\.target_offset is not part"),
        ({"readout": {"kind": "regression", "window": 2}}, "window=2"),
        ({"readout": {"kind": "regression"}}, r"wrong at readout\.window"),
        ({"feature_names": ["one"]}, "1 names of features"),
        ({"class_names": ["one"]}, "1 class names disagree with 2 classes"),
        ({"class_names": 7}, "wrong at class_names"),
        ({"vocabulary": ["a"]}, "wrong at vocabulary"),
    ],
)
def test_a_damaged_manifest(folder: Path, changed: dict[str, Any], message: str) -> None:
    _edit_manifest(folder, **changed)
    with pytest.raises(UserError, match=message):
        QuantizedModel.load(folder)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"feature_input__scale": None}, r"tensor feature_input\.scale is missing"),
        ({"input_projection__weight": np.zeros((3, 8, 2), np.int8)}, r"tensor input_projection\.weight is not part"),
        ({"feature_input__offset": np.zeros(3, np.float32)}, "type float32 is not float64"),
        ({"feature_input__offset": np.array([0.0, np.inf, 0.0])}, "holds NaN or infinity"),
        ({"feature_input__offset": np.zeros(4)}, "shape"),
        ({"feature_input__delta_threshold": np.array([1, 256, 1], np.int32)}, r"delta_threshold with values 1 to 256 leaves 1 to 255"),
        ({"feature_input__delta_threshold": np.array([1, 0, 1], np.int32)}, "delta_threshold"),
        ({"layers__0__input_weight": np.zeros((3, 8, 3), np.int8)}, r"layers\.0\.input_weight of shape \(3, 8, 3\)"),
        ({"readout__target_offset": np.zeros(3)}, r"readout\.target_offset of shape \(3,\)"),
        ({"readout__target_scale": np.zeros(2)}, "holds a 0"),
    ],
)
def test_damaged_tensors(folder: Path, changed: dict[str, np.ndarray | None], message: str) -> None:
    _edit_tensors(folder, **changed)
    with pytest.raises(UserError, match=message):
        QuantizedModel.load(folder)


def test_a_model_reads_tokens_or_features() -> None:
    tokens, features = random_model(RandomModelSpec()), _model()
    for wrong, message in (
        ({"feature_input": features.feature_input}, "exactly one input"),
        ({"input_projection": None}, "exactly one input"),
        ({"readout": Readout("mean")}, "predicts the next token"),
        ({"class_names": ("a",)}, "predicts the next token"),
    ):
        with pytest.raises(UserError, match=message):
            dataclasses.replace(tokens, **wrong)
    for wrong, message in (({"vocabulary": ("a",)}, "has no place"), ({"readout": None}, "has no read-out")):
        with pytest.raises(UserError, match=message):
            dataclasses.replace(features, **wrong)


SPECS = [
    RandomModelSpec(hidden=(16,), features=5, seed=1),
    RandomModelSpec(hidden=(24, 16), features=4, encoding="delta", weight_bits=4, density=0.5, seed=2),
    RandomModelSpec(
        hidden=(16, 8, 12),
        features=7,
        weight_bits=2,
        formats=Formats(event_bits=4, state_bits=10, gate_bits=6, preact_bits=9, preact_frac=5),
        seed=3,
    ),
    RandomModelSpec(hidden=(12, 12), features=1, silent_layer=0, seed=5),
]


@pytest.mark.parametrize("spec", SPECS)
def test_batched_and_event_driven_reference_agree(spec: RandomModelSpec) -> None:
    model = random_model(spec)
    _compare(model, draw_events(np.random.default_rng(spec.seed), model, (3, 60)))


@pytest.mark.parametrize("seed", range(DRAWS))
def test_batched_and_event_driven_reference_agree_on_anything_legal(seed: int) -> None:
    rng = np.random.default_rng(seed)
    model = draw_model(rng, features=True)
    _compare(model, draw_events(rng, model, (2, 12)))


def _compare(model: QuantizedModel, inputs: np.ndarray) -> None:
    streams = [EventDrivenStream(model) for _ in inputs]
    for t, step in enumerate(BatchedReference(model).run(inputs)):
        for s, stream in enumerate(streams):
            alone = stream.step(inputs[s, t])
            assert (alone.logits == step.logits[s]).all()
            for layer in range(len(model.layers)):
                assert (alone.events[layer] == step.events[layer][s]).all()
                assert (alone.fired[layer] == step.fired[layer][s]).all()
    walked = np.count_nonzero(model.layers[0].input_weight, axis=(0, 1))
    recurrent = np.count_nonzero(model.layers[0].recurrent_weight, axis=(0, 1))
    fired = [[step.fired[0] for step in BatchedReference(model).run(one[None])] for one in inputs]
    for s, stream in enumerate(streams):
        assert stream.counts.input_events == np.count_nonzero(inputs[s])
        macs = walked @ (inputs[s] > 0).sum(axis=0) + recurrent @ np.concatenate(fired[s])[:-1].sum(axis=0)
        assert stream.counts.macs[0] == macs


def test_a_sum_of_inputs_worked_out_by_hand() -> None:
    model = random_model(RandomModelSpec(hidden=(1,), features=2, seed=1))
    weight = np.zeros((3, 1, 2), np.int8)
    weight[2, 0] = 64, -32
    zero, bias = np.zeros(1, np.int32), np.array([[-2048], [0], [0]], np.int32)
    layer = dataclasses.replace(model.layers[0], input_weight=weight, weight_frac=6, bias=bias, reset_bias=zero, threshold=zero)
    model = dataclasses.replace(model, layers=(layer,))
    (step,) = BatchedReference(model).run(np.array([[[128, 64]]]))
    # a_g = 1 · 128/256 − 1/2 · 64/256 = 3/8, g = 1468 · 2^-12, z = 2^-12, so ĉ = 11744 − 3, which is 91.7 · 2^-8
    assert step.events[0].tolist() == [[92]]
    (silent,) = BatchedReference(model).run(np.zeros((1, 1, 2), np.int64))
    assert not silent.fired[0].any()


@pytest.mark.parametrize(
    "inputs", [np.full((1, 10), 256), np.full((1, 10), -1), np.zeros((1, 9), np.int64), np.zeros((1, 10)), np.zeros(1, np.int64)]
)
def test_what_no_encoding_makes_is_refused(inputs: np.ndarray) -> None:
    model = random_model(RandomModelSpec(hidden=(4,), features=5, encoding="delta"))
    with pytest.raises(ValueError, match="input events"):
        next(BatchedReference(model).run(inputs[:, None]))
    with pytest.raises(ValueError, match="input events"):
        EventDrivenStream(model).step(inputs[0])


def test_an_encoding_needs_one_name_per_feature() -> None:
    with pytest.raises(UserError, match="names"):
        FeatureInput("dense", np.zeros(2), np.ones(2), names=("a",))
