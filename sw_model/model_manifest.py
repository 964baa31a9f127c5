"""The files of an artifact, before anything is made of them: manifest and tensors, read with every limit and hash checked.

Version 1 of the manifest describes a model of tokens, version 2 a model of features.
"""

import hashlib
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from safetensors import SafetensorError
from safetensors.numpy import load as load_tensors

from sw_model.errors import UserError
from sw_model.input_encoding import Encoding
from sw_model.input_file import read_bytes, read_json
from sw_model.readout import ReadoutKind

FORMAT_NAME = "egru-quantized-model"
TOKEN_VERSION, FEATURE_VERSION = 1, 2
MANIFEST_FILE = "manifest.json"
TENSORS_FILE = "tensors.safetensors"
MAX_TENSORS_BYTES = 1 << 31
REMEDY = "export the model again"
FOLDER_REMEDY = "give the folder that `egru export` wrote"


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class FormatsEntry(_Strict):
    """`sw_model.fixed_point.Formats`."""

    event_bits: int
    state_bits: int
    gate_bits: int
    preact_bits: int
    preact_frac: int


class ProjectionEntry(_Strict):
    """What is no tensor of an `InputProjection`."""

    embedding_frac: int
    weight_frac: int


class MatrixEntry(_Strict):
    """What is no tensor of a layer or the decoder."""

    weight_bits: int
    weight_frac: int


class FeatureInputEntry(_Strict):
    """What is no tensor of a `FeatureInput`, but its names."""

    encoding: Encoding


class ReadoutEntry(_Strict):
    """What is no tensor of a `Readout`."""

    kind: ReadoutKind
    window: int


class _Manifest(_Strict):
    format: Literal["egru-quantized-model"]
    formats: FormatsEntry
    layers: list[MatrixEntry] = Field(min_length=1, max_length=64)
    decoder: MatrixEntry
    metadata: dict[str, Any]
    tensors_sha256: str


class TokenManifest(_Manifest):
    """Version 1."""

    version: Literal[1]
    input_projection: ProjectionEntry
    vocabulary: list[str]


class FeatureManifest(_Manifest):
    """Version 2."""

    version: Literal[2]
    feature_input: FeatureInputEntry
    feature_names: list[str]
    readout: ReadoutEntry
    class_names: list[str]


def read_manifest(folder: Path) -> TokenManifest | FeatureManifest:
    """Read and check ``manifest.json``.

    Raises:
        UserError: When it is missing, damaged, or of another version.
    """
    path = Path(folder) / MANIFEST_FILE
    raw = read_json(path, "artifact file", FOLDER_REMEDY)
    version = raw.get("version") if isinstance(raw, dict) else None
    if isinstance(raw, dict) and raw.get("format") == FORMAT_NAME and version not in (TOKEN_VERSION, FEATURE_VERSION):
        raise UserError(
            f"artifact version {version!r} in {path}",
            f"is not the version {TOKEN_VERSION} or {FEATURE_VERSION} that this release reads",
            "export the model again with this release",
        )
    try:
        return FeatureManifest.model_validate(raw) if version == FEATURE_VERSION else TokenManifest.model_validate(raw)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the top level"
        raise UserError(f"artifact manifest {path}", f"is wrong at {where}: {first['msg']}", REMEDY) from error


def read_tensors(folder: Path, sha256: str) -> dict[str, np.ndarray]:
    """Read ``tensors.safetensors``.

    Raises:
        UserError: When it is missing, too large, no such file, or its SHA-256 is not ``sha256``.
    """
    path = Path(folder) / TENSORS_FILE
    data = read_bytes(path, "artifact file", FOLDER_REMEDY, MAX_TENSORS_BYTES)
    found = hashlib.sha256(data).hexdigest()
    if found != sha256:
        raise UserError(
            f"artifact tensors {path} (SHA-256 {found[:12]})",
            f"do not match their manifest ({sha256[:12]}): the file is truncated or altered",
            "copy the artifact again or export it again",
        )
    try:
        return load_tensors(data)
    except (SafetensorError, ValueError, KeyError, OverflowError) as error:
        raise UserError(f"artifact tensors {path}", f"are not a safetensors file ({error})", REMEDY) from error


def require_tensors(tensors: dict[str, np.ndarray], expected: dict[str, type[np.generic]]) -> None:
    """Check that exactly the ``expected`` tensors are there, each of its type.

    Raises:
        UserError: When they are not.
    """
    for name in sorted(expected.keys() ^ tensors.keys()):
        state = "missing from the artifact" if name in expected else "not part of this format"
        raise UserError(f"tensor {name}", f"is {state}", REMEDY)
    for name, dtype in expected.items():
        if tensors[name].dtype != dtype:
            raise UserError(f"tensor {name} of type {tensors[name].dtype}", f"is not {np.dtype(dtype)}", REMEDY)
