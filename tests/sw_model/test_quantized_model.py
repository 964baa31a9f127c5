import dataclasses
import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load, save

from sw_model.errors import UserError
from sw_model.model_manifest import MANIFEST_FILE, TENSORS_FILE
from sw_model.quantized_model import QuantizedModel
from sw_model.random_model import RandomModelSpec, random_model


@pytest.fixture
def model() -> QuantizedModel:
    return dataclasses.replace(
        random_model(RandomModelSpec(hidden=(8, 12), tokens=3, seed=7)), vocabulary=("a", "é", "\n"), metadata={"bits": 1.5}
    )


@pytest.fixture
def folder(model: QuantizedModel, tmp_path: Path) -> Path:
    model.save(tmp_path / "model")
    return tmp_path / "model"


def _edit_manifest(folder: Path, **values: Any) -> None:
    path = folder / MANIFEST_FILE
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def _edit_tensors(folder: Path, **values: np.ndarray | None) -> None:
    """Replace tensors and mend the hash, so that the check behind it is reached."""
    tensors = load((folder / TENSORS_FILE).read_bytes())
    for key, value in values.items():
        name = key.replace("__", ".")
        if value is None:
            del tensors[name]
        else:
            tensors[name] = value
    data = save(tensors)
    (folder / TENSORS_FILE).write_bytes(data)
    _edit_manifest(folder, tensors_sha256=hashlib.sha256(data).hexdigest())


def test_round_trip(model: QuantizedModel, folder: Path) -> None:
    again = QuantizedModel.load(folder)
    assert again.content_hash() == model.content_hash()
    assert again.vocabulary == model.vocabulary
    assert again.metadata == model.metadata
    assert again.formats == model.formats
    assert np.array_equal(again.input_table(), model.input_table())


def test_content_hash_sees_a_single_weight(model: QuantizedModel) -> None:
    weight = model.decoder.weight.copy()
    weight[0, 0] = weight[0, 0] // 2 + 1
    other = dataclasses.replace(model, decoder=dataclasses.replace(model.decoder, weight=weight))
    assert other.content_hash() != model.content_hash()


def test_input_table_saturates_twice() -> None:
    base = random_model(RandomModelSpec(hidden=(1,), tokens=1, seed=1))
    assert base.input_projection is not None
    projection = dataclasses.replace(
        base.input_projection,
        embedding=np.full((1, 8), 127, np.int8),
        weight=np.full((3, 1, 8), 127, np.int8),
        embedding_frac=0,
        weight_frac=0,
    )
    layer = dataclasses.replace(base.layers[0], bias=np.array([[-1], [-2048], [2047]], np.int32))
    table = dataclasses.replace(base, input_projection=projection, layers=(layer,)).input_table()
    # the product alone saturates to 2047, then the bias is added, then the sum saturates again
    assert table[0, :, 0].tolist() == [2046, -1, 2047]


def test_existing_folder_is_kept(model: QuantizedModel, folder: Path) -> None:
    with pytest.raises(UserError, match="already holds results"):
        model.save(folder)
    model.save(folder, force=True)


def test_missing_folder(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="does not exist"):
        QuantizedModel.load(tmp_path / "nowhere")


def test_missing_tensors(folder: Path) -> None:
    (folder / TENSORS_FILE).unlink()
    with pytest.raises(UserError, match="does not exist"):
        QuantizedModel.load(folder)


def test_truncated_tensors(folder: Path) -> None:
    path = folder / TENSORS_FILE
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(UserError, match="truncated or altered"):
        QuantizedModel.load(folder)


def test_altered_tensors(folder: Path) -> None:
    path = folder / TENSORS_FILE
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(bytes(data))
    with pytest.raises(UserError, match="truncated or altered"):
        QuantizedModel.load(folder)


def test_bytes_that_are_no_safetensors(folder: Path) -> None:
    (folder / TENSORS_FILE).write_bytes(b"junk")
    _edit_manifest(folder, tensors_sha256=hashlib.sha256(b"junk").hexdigest())
    with pytest.raises(UserError, match="not a safetensors file"):
        QuantizedModel.load(folder)


@pytest.mark.parametrize("content", ["{", "[1]", "null", '{"format": "egru-quantized-model", "version": 1}'])
def test_broken_manifest(folder: Path, content: str) -> None:
    (folder / MANIFEST_FILE).write_text(content)
    with pytest.raises(UserError, match="manifest"):
        QuantizedModel.load(folder)


def test_other_version(folder: Path) -> None:
    _edit_manifest(folder, version=3)
    with pytest.raises(UserError, match=r"artifact version 3 .* is not the version 1 or 2"):
        QuantizedModel.load(folder)


def test_unknown_key(folder: Path) -> None:
    _edit_manifest(folder, vocabullary=[])
    with pytest.raises(UserError, match="vocabullary"):
        QuantizedModel.load(folder)


def test_missing_and_surplus_tensor(folder: Path) -> None:
    _edit_tensors(folder, decoder__bias=None)
    with pytest.raises(UserError, match=r"tensor decoder\.bias is missing"):
        QuantizedModel.load(folder)
    _edit_tensors(folder, decoder__bias=np.zeros(16, np.int32), decoder__extra=np.zeros(1, np.int8))
    with pytest.raises(UserError, match=r"tensor decoder\.extra is not part"):
        QuantizedModel.load(folder)


def test_wrong_type(folder: Path) -> None:
    _edit_tensors(folder, decoder__weight=np.zeros((16, 12), np.float32))
    with pytest.raises(UserError, match=r"decoder\.weight of type float32 is not int8"):
        QuantizedModel.load(folder)


def test_wrong_shape(folder: Path) -> None:
    _edit_tensors(folder, layers__1__recurrent_weight=np.zeros((3, 12, 11), np.int8))
    with pytest.raises(UserError, match=r"layers\.1\.recurrent_weight of shape \(3, 12, 11\)"):
        QuantizedModel.load(folder)


def test_value_out_of_range(folder: Path) -> None:
    _edit_tensors(folder, layers__0__threshold=np.full(8, -1, np.int32))
    with pytest.raises(UserError, match=r"layers\.0\.threshold with values -1"):
        QuantizedModel.load(folder)
    _edit_tensors(folder, layers__0__threshold=np.full(8, 1, np.int32), decoder__weight=np.full((16, 12), -128, np.int8))
    with pytest.raises(UserError, match=r"decoder\.weight with values -128"):
        QuantizedModel.load(folder)


def test_vocabulary_that_disagrees(folder: Path) -> None:
    _edit_manifest(folder, vocabulary=["a"])
    with pytest.raises(UserError, match="vocabulary of 1 symbols"):
        QuantizedModel.load(folder)
