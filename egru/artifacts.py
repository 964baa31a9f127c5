"""Folders that one command writes and another reads: telling them apart, and finding the text that belongs to a model."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

import numpy as np

from hls_gen.backend import Backend
from hls_gen.hardware_config import HardwareConfig, require_tokens
from hls_gen.hls_backend import CSIM_SOURCE, HLS_FOLDER, TOP_SOURCE
from hls_gen.manifest import MANIFEST_FILE as GENERATED_MANIFEST
from hls_gen.manifest import differences
from hls_gen.rtl_backend import HARDWARE_FILE, MEMORY_FOLDER, MODEL_FOLDER, RTL_FOLDER, TOP_MODULE
from sw_model.datasets import EMBEDDED, TextDataset, Unit, load_text
from sw_model.errors import UserError
from sw_model.feature_dataset import DATASET_FILE, FeatureDataset
from sw_model.feature_match import FeatureInfo, require_same_features
from sw_model.feature_sources import load_features
from sw_model.generated_features import GENERATED
from sw_model.input_file import read_json
from sw_model.model_manifest import MANIFEST_FILE
from sw_model.quantized_model import QuantizedModel

#: Time steps of tokens, or of random input events, where nobody says how many.
DEFAULT_STEPS = 500


class Kind(StrEnum):
    """What a folder with a manifest holds."""

    CHECKPOINT = "egru-checkpoint"
    MODEL = "egru-quantized-model"


def kind_of(folder: Path) -> Kind:
    """Say whether ``folder`` holds a checkpoint or an exported model.

    Raises:
        UserError: When it holds neither.
    """
    path = Path(folder) / MANIFEST_FILE
    remedy = "give a folder that egru train, prune or export wrote"
    manifest = read_json(path, "artifact file", remedy)
    try:
        return Kind(manifest["format"])
    except (ValueError, KeyError, TypeError):
        raise UserError(f"artifact manifest {path}", "is truncated, or of neither a checkpoint nor a model", remedy) from None


@dataclass(frozen=True)
class TextInfo:
    """The text that a network was trained on.

    Attributes:
        name: ``pydoc-topics`` or the name of a file or folder, without its path.
        unit: What one symbol is.
        vocabulary: The symbols in the order of their tokens.
    """

    name: str
    unit: Unit
    vocabulary: tuple[str, ...]


def text_info(model: QuantizedModel) -> TextInfo | None:
    """Return what an exported model knows of its text; None when it knows nothing."""
    data = model.metadata.get("data")
    if len(model.vocabulary) < model.classes or not isinstance(data, dict) or data.get("unit") not in ("characters", "words"):
        return None
    return TextInfo(str(data.get("name")), data["unit"], model.vocabulary)


def load_matching_text(info: TextInfo, source: str | None) -> TextDataset:
    """Read the text of a network.

    Args:
        info: What the network knows of it.
        source: Where it is, as for `sw_model.datasets.load_text`; None for the embedded text.

    Raises:
        UserError: When it cannot be read, or has another vocabulary than the network.
    """
    source = EMBEDDED if source is None else source
    # With as many symbols as the network has, a text cut to a largest vocabulary is cut to the same one again.
    dataset = load_text(source, info.unit, max_vocabulary=max(2, len(info.vocabulary)))
    if dataset.vocabulary != info.vocabulary:
        rule = f"has another vocabulary than the network, which was trained on {info.name}"
        raise UserError(f"text {source}", rule, "give that text with --data")
    return dataset


def is_feature_source(source: str) -> bool:
    """Say whether ``source`` is of feature streams: ``generated``, or a folder that `egru data` wrote."""
    return source == GENERATED or (Path(source) / DATASET_FILE).is_file()


def require_text(source: str, what: str) -> None:
    """Refuse feature streams where only a text can be taken.

    Args:
        source: Where the data is.
        what: What takes a text only.

    Raises:
        UserError: When ``source`` is of feature streams.
    """
    if is_feature_source(source):
        remedy = "give a text, or train, prune, export, generate, simulate and build one after the other (docs/streams.md)"
        raise UserError(f"data set {source}", f"is of feature streams, and {what} takes a text", remedy)


def load_matching_features(info: FeatureInfo, source: str | None, what: str) -> FeatureDataset:
    """Read the feature streams of a network.

    Args:
        info: What the network knows of them.
        source: Where they are, as for `sw_model.feature_sources.load_features`; None for the generated ones.
        what: What holds the network, for a message.

    Raises:
        UserError: When they cannot be read, or have other features or classes than the network.
    """
    if source is None:
        if info.name != GENERATED:
            raise UserError(f"{what}, trained on {info.name}", "does not say where that is", "give the folder with --data")
        source = GENERATED
    dataset = load_features(source)
    require_same_features(info, dataset, what)
    return dataset


def choose_tokens(model: QuantizedModel, steps: int, seed: int, source: str | None) -> tuple[np.ndarray, str, str]:
    """Find what to show a model: held-out text, or random tokens where it knows none.

    Args:
        model: The model.
        steps: Random tokens to draw.
        seed: Of the draw.
        source: The text; None for the one that the model was trained on, where that is the embedded one.

    Returns:
        The tokens, what they are, and what the user should know of the choice.

    Raises:
        UserError: When the text cannot be read, or is not the model's, or the model reads no tokens.
    """
    require_tokens(model, "this command")
    info = text_info(model)
    if info is None and source is not None:
        raise UserError(
            f"text {source}", "cannot be streamed into a model without a vocabulary", "leave out --data: tokens are then random"
        )
    if info is not None and (source is not None or info.name == EMBEDDED):
        dataset = load_matching_text(info, source)
        return dataset.test, f"held-out {dataset.unit} of {dataset.name}", ""
    remark = "" if info is None else f"the model was trained on {info.name}: tokens are random unless that text is given with --data"
    return np.random.default_rng(seed).integers(model.tokens, size=steps), "random tokens", remark


def deal_sequences(tokens: np.ndarray, steps: int | None, sequences: int) -> list[list[int]]:
    """Cut the first ``steps`` tokens, `DEFAULT_STEPS` if None, into ``sequences`` parts that differ in length by one at most.

    Raises:
        UserError: When there are not that many tokens, or fewer steps than sequences.
    """
    steps = DEFAULT_STEPS if steps is None else steps
    if steps > len(tokens):
        raise UserError(f"steps={steps}", f"exceeds the {len(tokens)} held-out symbols", f"use at most {len(tokens)}, or a longer text")
    if sequences > steps:
        raise UserError(f"sequences={sequences}", f"exceeds steps={steps}", f"use at most {steps}")
    return [list(map(int, part)) for part in np.array_split(tokens[:steps], sequences)]


@dataclass(frozen=True)
class GeneratedFolder:
    """A folder that `egru generate` wrote.

    Attributes:
        folder: Where it is.
        backend: What its sources are written in.
        model: The model in it.
        lanes: Lanes of each layer, then of the decoder.
    """

    folder: Path
    backend: Backend
    model: QuantizedModel
    lanes: Sequence[int]


#: What a folder of each backend must hold beside `HARDWARE_FILE`.
_PARTS = {
    Backend.RTL: (RTL_FOLDER, MEMORY_FOLDER, MODEL_FOLDER, f"{RTL_FOLDER}/{TOP_MODULE}.sv"),
    Backend.HLS: (HLS_FOLDER, MODEL_FOLDER, f"{HLS_FOLDER}/{TOP_SOURCE}", f"{HLS_FOLDER}/{CSIM_SOURCE}"),
}


def read_generated(folder: Path, backend: Backend | None = None) -> GeneratedFolder:
    """Read and check a generated folder.

    Args:
        folder: The folder.
        backend: What its sources must be written in; anything if not given.

    Raises:
        UserError: When a part is missing or damaged, parts belong to different models, or the sources are written in something else.
    """
    folder = Path(folder)
    remedy = "give a folder that egru generate wrote, or generate it again"
    if not (folder / HARDWARE_FILE).is_file():
        raise UserError(f"folder {folder}", f"holds no {HARDWARE_FILE}", remedy)
    hardware: dict[str, Any] = read_json(folder / HARDWARE_FILE, "file", remedy)
    try:
        found = Backend.of_format(hardware["format"])
        model_hash, lanes = hardware["model_hash"], [int(block["lanes"]) for block in hardware["blocks"]]
        HardwareConfig.model_validate(hardware["config"])
    except (ValueError, KeyError, TypeError, OverflowError):
        raise UserError(f"file {folder / HARDWARE_FILE}", "is truncated or altered", remedy) from None
    if backend not in (None, found):
        other = f"give a folder that egru generate --backend {backend} wrote"
        raise UserError(f"folder {folder}", f"holds {found.language}, not {backend.language}", other)
    for name in _PARTS[found]:
        if not (folder / name).exists():
            raise UserError(f"folder {folder}", f"holds no {name}", remedy)
    model = QuantizedModel.load(folder / MODEL_FOLDER)
    if model_hash != model.content_hash():
        raise UserError(f"file {folder / HARDWARE_FILE}", f"belongs to another model than {folder / MODEL_FOLDER}", remedy)
    return GeneratedFolder(folder, found, model, lanes)


def changes_remark(folder: Path) -> str:
    """Return what a user should know of changes in a generated folder, who may well have made them.

    Returns:
        One line; empty without changes, or where no manifest says how the folder was generated.

    Raises:
        UserError: When the manifest is damaged.
    """
    changes = differences(folder) if (folder / GENERATED_MANIFEST).is_file() else []
    if not changes:
        return ""
    others = f" and {len(changes) - 1} more" if len(changes) > 1 else ""
    return f"{folder} is not as it was generated: {changes[0]}{others}; egru verify shows all"
