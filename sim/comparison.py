"""What every simulation of a generated core compares, whatever it was written in."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from sim.scoreboard import Scoreboard
from sw_model.quantized_model import QuantizedModel

#: Tokens of each sequence, or input events of each of its steps, in the folder of the run.
STIMULUS_FILE = "stimulus.json"
#: Beside it, where the model reads features: the logits that came out, int64, shape (steps, classes).
LOGITS_FILE = "logits.npy"


def core_scoreboard(
    folder: Path, seed: int, model: QuantizedModel, hardware: dict[str, Any], sequences: Sequence[Sequence[Any]]
) -> Scoreboard:
    """Make the scoreboard of a core; what it saves is enough for a replay.

    Args:
        folder: Where the failing case is saved.
        seed: What chose the stimulus.
        model: What the core is compared with.
        hardware: The core's ``hardware.json``.
        sequences: Tokens of each sequence, or input events of each of its steps.
    """
    context = {"sequences": sequences, "hardware": hardware["config"]}
    return Scoreboard(folder, seed, context=context, save_more=lambda case: model.save(case / "model"))


def sequence_ends(sequences: Sequence[Sequence[Any]]) -> np.ndarray:
    """Return the number of the last step of each sequence, int64, shape (sequences,)."""
    return np.cumsum([len(sequence) for sequence in sequences]) - 1


def check_complete(scoreboard: Scoreboard, model: QuantizedModel, steps: int) -> None:
    """Assert that no layer and no step was left out: each neuron counts twice (flag and value) in every step, each class once."""
    neurons = sum(layer.neurons for layer in model.layers)
    assert scoreboard.values == steps * (2 * neurons + model.classes)


class Places:
    """Which neuron has which physical index in a block."""

    def __init__(self, block: dict[str, Any]) -> None:
        """Read the block's entry in ``hardware.json``."""
        self._layers: list[int] = block["layers"]
        self._neuron_of = {
            place: (layer, neuron)
            for layer, places in zip(block["layers"], block["physical_index"], strict=True)
            for neuron, place in enumerate(places)
        }

    def by_layer(self, events: Iterable[tuple[int, int]]) -> dict[int, list[tuple[int, int]]]:
        """Turn (physical index, value) into (neuron, value) of each layer.

        A padding row has no neuron: it gets a number outside every layer, which the scoreboard refuses.
        """
        found: dict[int, list[tuple[int, int]]] = {layer: [] for layer in self._layers}
        for index, value in events:
            layer, neuron = self._neuron_of.get(index, (self._layers[0], len(self._neuron_of) + index))
            found[layer].append((neuron, value))
        return found
