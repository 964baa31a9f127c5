"""Checkpoints: a folder with ``tensors.safetensors`` and ``manifest.json``. Everything is checked when it is loaded; nothing is unpickled.

A finished phase and a phase under way have the same form; the latter also holds what training needs to go on. Random numbers are drawn from
seed and step (see `sw_model.train`), so there is no generator state to save.
"""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import Tensor

from sw_model.datasets import Unit
from sw_model.errors import UserError
from sw_model.event_gru import AnyNetworkConfig, Arithmetic, EventNetwork, FeatureNetworkConfig
from sw_model.feature_dataset import Task
from sw_model.feature_match import FeatureInfo
from sw_model.fixed_point import Formats
from sw_model.front_end import FrontEnd
from sw_model.input_encoding import Encoding, FeatureInput
from sw_model.input_file import read_bytes, read_text
from sw_model.log_mel import LogMelConfig
from sw_model.output_folder import staged_folder
from sw_model.pruning import prunable
from sw_model.quantizers import QuantizationConfig, QuantizedArithmetic
from sw_model.readout import Readout, ReadoutKind

MANIFEST_FILE = "manifest.json"
TENSORS_FILE = "tensors.safetensors"
FORMAT_NAME = "egru-checkpoint"
#: The largest networks of the published recipes, with the optimiser's moments, have a hundredth of it.
MAX_TENSORS_BYTES = 1 << 36
REMEDY = "train again, or give the folder that `egru train` wrote"
#: Of any tensor in a checkpoint; torch itself breaks off at more dimensions or with other types.
MAX_DIMENSIONS, DTYPES = 4, (torch.float32, torch.float64, torch.bfloat16, torch.int64, torch.int32, torch.uint8, torch.bool)
PARAMETER, MASK = "parameter.", "mask."


class DataInfo(BaseModel):
    """Which text a network was trained on."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    unit: Unit
    vocabulary: tuple[str, ...]


class FeatureDataInfo(BaseModel):
    """Which feature streams a network was trained on, how they are encoded, and what is decided from its logits.

    Attributes:
        name: Of the data set.
        frame_rate: Frames per second, where that is known.
        feature_names: One per feature, or nothing.
        class_names: One per logit, or nothing.
        event_bits: Bits of an input event; a quantised network has the same.
        encoding: This and the three below: see `FeatureInput`.
        readout_kind: This and the three below: see `Readout`.
        front_end: What made the features from sound, where that is known.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    frame_rate: float | None
    feature_names: tuple[str, ...]
    class_names: tuple[str, ...]
    event_bits: int = Field(default=Formats.event_bits, ge=2, le=12)
    encoding: Encoding
    offset: tuple[float, ...]
    scale: tuple[float, ...]
    delta_threshold: tuple[int, ...] | None
    readout_kind: ReadoutKind
    window: int = 1
    target_offset: tuple[float, ...] | None = None
    target_scale: tuple[float, ...] | None = None
    front_end: FrontEnd | None = None

    @classmethod
    def of(
        cls,
        name: str,
        feature_input: FeatureInput,
        readout: Readout,
        class_names: tuple[str, ...] = (),
        frame_rate: float | None = None,
        event_bits: int = Formats.event_bits,
        front_end: LogMelConfig | None = None,
    ) -> "FeatureDataInfo":
        """Take an encoding and a read-out apart."""
        threshold, offset, scale = feature_input.delta_threshold, readout.target_offset, readout.target_scale
        return cls(
            name=name,
            frame_rate=frame_rate,
            feature_names=feature_input.names,
            class_names=class_names,
            event_bits=event_bits,
            encoding=feature_input.encoding,
            offset=tuple(feature_input.offset.tolist()),
            scale=tuple(feature_input.scale.tolist()),
            delta_threshold=None if threshold is None else tuple(threshold.tolist()),
            readout_kind=readout.kind,
            window=readout.window,
            target_offset=None if offset is None else tuple(offset.tolist()),
            target_scale=None if scale is None else tuple(scale.tolist()),
            front_end=None if front_end is None else FrontEnd.of(front_end),
        )

    def match(self) -> FeatureInfo:
        """Return what a data set for this network must have."""
        task: Task = "regression" if self.readout_kind == "regression" else "classification"
        return FeatureInfo(self.name, task, self.feature_names, self.class_names)

    def feature_input(self) -> FeatureInput:
        """Return the encoding.

        Raises:
            UserError: When it is no legal one.
        """
        if self.delta_threshold is not None and max(map(abs, self.delta_threshold), default=0) >= 1 << 31:
            raise UserError(f"delta_threshold of {max(map(abs, self.delta_threshold))}", "is beyond every event", REMEDY)
        threshold = None if self.delta_threshold is None else np.array(self.delta_threshold, np.int32)
        return FeatureInput(self.encoding, np.array(self.offset), np.array(self.scale), threshold, self.feature_names)

    def readout(self) -> Readout:
        """Return the read-out.

        Raises:
            UserError: When it is no legal one.
        """
        targets = (None if values is None else np.array(values) for values in (self.target_offset, self.target_scale))
        return Readout(self.readout_kind, self.window, *targets)


class Manifest(BaseModel):
    """Everything about a checkpoint that is not a tensor.

    Attributes:
        version: 1 of a network of tokens, 2 of a network of features.
        network: Shape and neuron constants.
        quantization: Widths, or None for a float network.
        exponents: Fraction bits per weight group; there if and only if ``quantization`` is.
        data: The text, or the features.
        step: Optimiser steps done in the phase.
        metrics: What the phase measured.
        training: The phase's configuration and position, for resuming.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: Literal["egru-checkpoint"] = "egru-checkpoint"
    version: Literal[1, 2] = 1
    network: AnyNetworkConfig
    quantization: QuantizationConfig | None
    exponents: dict[str, int] | None
    data: DataInfo | FeatureDataInfo
    step: int
    metrics: dict[str, Any]
    training: dict[str, Any]
    tensors_sha256: str = ""

    @model_validator(mode="after")
    def _check_version(self) -> "Manifest":
        if (self.version == 2) != isinstance(self.network, FeatureNetworkConfig) or (self.version == 2) != isinstance(
            self.data, FeatureDataInfo
        ):
            raise ValueError(f"version {self.version} disagrees with its network or data: 1 is of tokens, 2 of features")
        return self


@dataclass(frozen=True)
class Checkpoint:
    """A checked checkpoint.

    Attributes:
        folder: Where it was read.
        manifest: Everything but tensors.
        tensors: By name; ``parameter.*`` and ``mask.*`` always mean the same, other prefixes belong to `sw_model.train`.
    """

    folder: Path
    manifest: Manifest
    tensors: dict[str, Tensor]

    def network(self) -> EventNetwork:
        """Build the network, with quantised arithmetic when the checkpoint has it."""
        network = _build(self.manifest)
        with torch.no_grad():
            for name, parameter in network.named_parameters():
                parameter.copy_(self.tensors[PARAMETER + name])
        return network

    def text(self) -> DataInfo:
        """Return which text the network was trained on.

        Raises:
            UserError: When it was trained on features.
        """
        if not isinstance(self.manifest.data, DataInfo):
            raise UserError(f"checkpoint {self.folder}", "is of a network of features, which reads no text", "give one of a text")
        return self.manifest.data

    def features(self) -> FeatureDataInfo:
        """Return which feature streams the network was trained on.

        Raises:
            UserError: When it was trained on a text.
        """
        if not isinstance(self.manifest.data, FeatureDataInfo):
            raise UserError(f"checkpoint {self.folder}", "is of a network of a text, which reads no features", "give one of features")
        return self.manifest.data

    def masks(self) -> dict[str, Tensor]:
        """Return the pruning masks, bool; empty when nothing was pruned."""
        return self.group(MASK)

    def group(self, prefix: str) -> dict[str, Tensor]:
        """Return the tensors whose name starts with ``prefix``, without it."""
        return {name.removeprefix(prefix): tensor for name, tensor in self.tensors.items() if name.startswith(prefix)}


def save(folder: Path, manifest: Manifest, tensors: dict[str, Tensor], *, force: bool = False) -> None:
    """Write a checkpoint, all or nothing.

    Raises:
        UserError: When ``folder`` holds something and ``force`` is not given.
    """
    data = save_tensors({name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()})
    content = manifest.model_copy(update={"tensors_sha256": hashlib.sha256(data).hexdigest()}).model_dump(mode="json")
    with staged_folder(folder, force=force) as staging:
        (staging / TENSORS_FILE).write_bytes(data)
        (staging / MANIFEST_FILE).write_text(json.dumps(content, indent=1, sort_keys=True) + "\n", encoding="utf-8")


def network_tensors(network: EventNetwork, masks: dict[str, Tensor]) -> dict[str, Tensor]:
    """Name a network's parameters and masks as a checkpoint does."""
    named = {PARAMETER + name: parameter for name, parameter in network.named_parameters()}
    return named | {MASK + name: mask for name, mask in masks.items()}


def load(folder: Path) -> Checkpoint:
    """Read and check a checkpoint.

    Raises:
        UserError: When a file is missing, truncated or altered, a key is unknown, a shape disagrees, or a weight is NaN or Inf.
    """
    folder = Path(folder)
    manifest = _read_manifest(folder / MANIFEST_FILE)
    tensors = _read_tensors(folder / TENSORS_FILE, manifest.tensors_sha256)
    loaded = Checkpoint(folder, manifest, tensors)
    _check(loaded)
    return loaded


def _read_manifest(path: Path) -> Manifest:
    text = read_text(path, "checkpoint file", REMEDY)
    try:
        return Manifest.model_validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the top level"
        raise UserError(f"checkpoint manifest {path}", f"is wrong at {where}: {first['msg']}", REMEDY) from error


def _read_tensors(path: Path, sha256: str) -> dict[str, Tensor]:
    data = read_bytes(path, "checkpoint file", REMEDY, MAX_TENSORS_BYTES)
    if hashlib.sha256(data).hexdigest() != sha256:
        raise UserError(f"checkpoint tensors {path}", "do not match their manifest: the file is truncated or altered", REMEDY)
    try:
        tensors: dict[str, Tensor] = load_tensors(data)
    except (SafetensorError, ValueError, KeyError, OverflowError) as error:
        raise UserError(f"checkpoint tensors {path}", f"are not a safetensors file ({error})", REMEDY) from error
    return tensors


def _build(manifest: Manifest) -> EventNetwork:
    # The initial weights are about to be replaced; the caller's random numbers must not notice.
    with torch.random.fork_rng(devices=[]):
        network = EventNetwork(manifest.network)
    network.arithmetic = _arithmetic(manifest)
    return network


def _arithmetic(manifest: Manifest) -> Arithmetic:
    if manifest.quantization is None:
        return Arithmetic()
    layers, features = len(manifest.network.hidden_sizes), manifest.network.channels > 0
    arithmetic = QuantizedArithmetic(manifest.quantization, layers, features=features)
    arithmetic.set_exponents(manifest.exponents or {})
    return arithmetic


def _check_data(manifest: Manifest) -> None:
    network, data = manifest.network, manifest.data
    if isinstance(data, DataInfo):
        if network.tokens != len(data.vocabulary):
            what = f"vocabulary of {len(data.vocabulary)} symbols"
            raise UserError(what, f"disagrees with tokens={network.tokens}", REMEDY)
        return
    channels, readout = data.feature_input().channels, data.readout()
    if channels != network.channels:
        raise UserError(f"an encoding of {channels} channels", f"disagrees with channels={network.channels}", REMEDY)
    if manifest.quantization is not None and manifest.quantization.event_bits != data.event_bits:
        rule = f"disagree with the {data.event_bits} bits of its encoding"
        raise UserError(f"event_bits={manifest.quantization.event_bits} of a network of features", rule, REMEDY)
    outputs = [len(each) for each in (data.class_names or None, readout.target_offset, readout.target_scale) if each is not None]
    if any(count != network.classes for count in outputs):
        raise UserError(f"class names or targets of {outputs} outputs", f"disagree with classes={network.classes}", REMEDY)


def _check(loaded: Checkpoint) -> None:
    manifest, tensors = loaded.manifest, loaded.tensors
    _check_data(manifest)
    # A manifest of a few bytes may name terabytes of weights: their shapes are compared before any is there.
    with torch.device("meta"):
        network = EventNetwork(manifest.network)
    _arithmetic(manifest)
    expected = dict(network.named_parameters())
    found = loaded.group(PARAMETER)
    for name in sorted(expected.keys() ^ found.keys()):
        raise UserError(f"tensor {name}", "is missing from the checkpoint" if name in expected else "belongs to no parameter", REMEDY)
    for name, parameter in expected.items():
        if found[name].shape != parameter.shape or found[name].dtype != parameter.dtype:
            what = f"tensor {name} of shape {tuple(found[name].shape)} and type {found[name].dtype}"
            raise UserError(what, f"disagrees with the expected {tuple(parameter.shape)}, {parameter.dtype}", REMEDY)
    for name, tensor in tensors.items():
        if tensor.ndim > MAX_DIMENSIONS or tensor.dtype not in DTYPES:
            raise UserError(f"tensor {name} of {tensor.ndim} dimensions and type {tensor.dtype}", "is none that training writes", REMEDY)
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
            raise UserError(f"tensor {name.removeprefix(PARAMETER)}", "holds NaN or Inf", "train again with a lower learning rate")
    shapes = {name: weight.shape for name, weight in prunable(network).items()}
    for name, mask in loaded.masks().items():
        if shapes.get(name) != mask.shape or mask.dtype != torch.bool:
            raise UserError(f"mask of {name}, shape {tuple(mask.shape)}", "belongs to no weight of that shape", REMEDY)
