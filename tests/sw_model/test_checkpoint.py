import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load, save

from sw_model import checkpoint
from sw_model.datasets import TextDataset
from sw_model.errors import UserError
from sw_model.train import TrainConfig, run_phase

SETTINGS: dict[str, Any] = {
    "steps": 3,
    "streams": 4,
    "chunk": 8,
    "network": {"hidden_sizes": (8, 8), "embedding_size": 4},
    "quantization": {},
    "pruning": {"sparsity": 0.5, "schedule": "one-shot"},
}


@pytest.fixture
def folder(text: TextDataset, tmp_path: Path) -> Path:
    run_phase(TrainConfig.model_validate(SETTINGS), text, tmp_path / "phase", progress=False)
    return tmp_path / "phase"


def _edit_manifest(folder: Path, **values: Any) -> None:
    path = folder / checkpoint.MANIFEST_FILE
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def _edit_tensor(folder: Path, name: str, value: torch.Tensor | None) -> None:
    path = folder / checkpoint.TENSORS_FILE
    tensors = load(path.read_bytes())
    if value is None:
        del tensors[name]
    else:
        tensors[name] = value
    data = save(tensors)
    path.write_bytes(data)
    _edit_manifest(folder, tensors_sha256=hashlib.sha256(data).hexdigest())


def test_round_trip(folder: Path) -> None:
    loaded = checkpoint.load(folder)
    network, masks = loaded.network(), loaded.masks()
    for name, parameter in network.named_parameters():
        assert torch.equal(parameter, loaded.tensors[checkpoint.PARAMETER + name])
    for name, mask in masks.items():
        assert not bool(loaded.tensors[checkpoint.PARAMETER + name][~mask].any())
    assert loaded.manifest.exponents is not None
    assert loaded.manifest.exponents.keys() == {"embedding", "input", "layers.0", "layers.1", "decoder"}


def test_loading_draws_nothing_without_storage(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    draw = torch._standard_gamma

    def as_torch_2_11_draws(alpha: torch.Tensor) -> torch.Tensor:
        if alpha.is_meta:
            raise NotImplementedError("_standard_gamma on meta")
        return draw(alpha)

    monkeypatch.setattr(torch, "_standard_gamma", as_torch_2_11_draws)
    checkpoint.load(folder)


def test_missing_files(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"manifest\.json does not exist"):
        checkpoint.load(tmp_path)
    (folder / checkpoint.TENSORS_FILE).unlink()
    with pytest.raises(UserError, match=r"tensors\.safetensors does not exist"):
        checkpoint.load(folder)


def test_truncated_tensors(folder: Path) -> None:
    path = folder / checkpoint.TENSORS_FILE
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(UserError, match="truncated or altered"):
        checkpoint.load(folder)


def test_bytes_that_are_no_safetensors(folder: Path) -> None:
    (folder / checkpoint.TENSORS_FILE).write_bytes(b"junk")
    _edit_manifest(folder, tensors_sha256=hashlib.sha256(b"junk").hexdigest())
    with pytest.raises(UserError, match="are not a safetensors file"):
        checkpoint.load(folder)


def test_misspelt_key(folder: Path) -> None:
    _edit_manifest(folder, metrcs={})
    with pytest.raises(UserError, match="is wrong at metrcs"):
        checkpoint.load(folder)


def test_broken_manifest(folder: Path) -> None:
    (folder / checkpoint.MANIFEST_FILE).write_text("{")
    with pytest.raises(UserError, match="manifest"):
        checkpoint.load(folder)


@pytest.mark.parametrize("value", [float("nan"), float("-inf")])
def test_a_weight_that_is_no_number_is_named(folder: Path, value: float) -> None:
    weight = torch.zeros(3, 8, 8)
    weight[0, 0, 0] = value
    _edit_tensor(folder, "parameter.layers.1.recurrent_weight", weight)
    with pytest.raises(UserError, match=r"tensor layers\.1\.recurrent_weight holds NaN or Inf"):
        checkpoint.load(folder)


def test_wrong_shape_and_type(folder: Path) -> None:
    _edit_tensor(folder, "parameter.layers.1.weight", torch.zeros(3, 8, 7))
    with pytest.raises(UserError, match=r"tensor layers\.1\.weight of shape \(3, 8, 7\)"):
        checkpoint.load(folder)
    _edit_tensor(folder, "parameter.layers.1.weight", torch.zeros(3, 8, 8, dtype=torch.float64))
    with pytest.raises(UserError, match=r"torch\.float64 disagrees with the expected"):
        checkpoint.load(folder)


def test_missing_and_surplus_tensors(folder: Path) -> None:
    _edit_tensor(folder, "parameter.extra", torch.zeros(1))
    with pytest.raises(UserError, match="tensor extra belongs to no parameter"):
        checkpoint.load(folder)
    _edit_tensor(folder, "parameter.extra", None)
    _edit_tensor(folder, "parameter.decoder_bias", None)
    with pytest.raises(UserError, match="tensor decoder_bias is missing"):
        checkpoint.load(folder)


def test_mask_of_another_shape(folder: Path) -> None:
    _edit_tensor(folder, "mask.decoder_weight", torch.ones(3, dtype=torch.bool))
    with pytest.raises(UserError, match="mask of decoder_weight"):
        checkpoint.load(folder)


def test_vocabulary_and_exponents_must_fit(folder: Path) -> None:
    manifest = json.loads((folder / checkpoint.MANIFEST_FILE).read_text())
    _edit_manifest(folder, exponents={})
    with pytest.raises(UserError, match="exponent of decoder"):
        checkpoint.load(folder)
    _edit_manifest(folder, exponents=manifest["exponents"], data=manifest["data"] | {"vocabulary": ["a"]})
    with pytest.raises(UserError, match="vocabulary of 1 symbols"):
        checkpoint.load(folder)
