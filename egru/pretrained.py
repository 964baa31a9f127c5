"""The model that ships already trained: a folder under examples/, written by ``examples/record.py``.

It holds the exported model, its recipe, hardware that fits it, and what was measured where it was trained. Its text is CPython's own, which
differs a little between Python versions. The model keeps its vocabulary: symbols that it does not know are left out and counted.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from egru.flow_config import FlowConfig, load_flow_config
from egru.summary import TrainingRecord
from sw_model.datasets import SPLITS, TextDataset, join
from sw_model.errors import UserError
from sw_model.input_file import read_json
from sw_model.output_folder import staged_folder
from sw_model.quantized_model import QuantizedModel
from sw_model.strict_toml import validate

PRETRAINED = Path(__file__).resolve().parent.parent / "examples" / "pydoc_topics"

MODEL_FOLDER, RECIPE_FILE, HARDWARE_FILE, FIGURES_FILE = "model", "recipe.toml", "hardware.toml", "figures.json"


@dataclass(frozen=True)
class Pretrained:
    """An example folder.

    Attributes:
        model: The exported model.
        record: What was measured where it was trained.
    """

    model: QuantizedModel
    record: TrainingRecord


def load_pretrained(folder: Path) -> Pretrained:
    """Read and check a model and its figures.

    Raises:
        UserError: When a part is missing or damaged, or the figures are those of another model.
    """
    remedy = "install egru-fpga again, or leave out --pretrained to train a model"
    path = folder / FIGURES_FILE
    record = validate(read_json(path, "file of the pretrained model", remedy), TrainingRecord, str(path))
    model = QuantizedModel.load(folder / MODEL_FOLDER)
    if record.model.hash != model.content_hash():
        raise UserError(f"file {path}", f"belongs to another model than {folder / MODEL_FOLDER}", remedy)
    return Pretrained(model, record)


def pretrained_config(folder: Path, overrides: dict[str, Any] | None = None) -> FlowConfig:
    """Read the recipe that a model was trained with, and the hardware that fits it.

    Raises:
        UserError: See `egru.flow_config.load_flow_config`.
    """
    return load_flow_config(folder / HARDWARE_FILE, overrides, recipe=folder / RECIPE_FILE)


def known_part(dataset: TextDataset, vocabulary: tuple[str, ...]) -> tuple[TextDataset, int]:
    """Put a text into a model's own tokens.

    Args:
        dataset: A text with any vocabulary.
        vocabulary: The model's.

    Returns:
        The text without the symbols that the model does not know, and how many those were.
    """
    token = {symbol: index for index, symbol in enumerate(vocabulary)}
    own = np.array([token.get(symbol, -1) for symbol in dataset.vocabulary])
    recoded = {name: own[dataset.split(name)] for name in SPLITS}
    known = {name: tokens[tokens >= 0] for name, tokens in recoded.items()}
    unknown = sum(int((tokens < 0).sum()) for tokens in recoded.values())
    return replace(dataset, vocabulary=vocabulary, **known), unknown


def write_text(dataset: TextDataset, folder: Path) -> None:
    """Write a text as a Penn Treebank folder, from which `sw_model.datasets.load_text` gets the same vocabulary and held-out splits.

    The training split begins with the symbols that it would lack: the vocabulary is made of it.
    """
    lacking = np.setdiff1d(np.arange(len(dataset.vocabulary)), dataset.train)
    whole = replace(dataset, train=np.concatenate([lacking, dataset.train]))
    with staged_folder(folder) as staging:
        for name in SPLITS:
            text = join((dataset.vocabulary[token] for token in whole.split(name)), dataset.unit)
            (staging / f"ptb.{name}.txt").write_text(text, encoding="utf-8")
