"""What a sequence looks like on the input stream of the core, whatever drives it."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from sw_model.quantized_model import QuantizedModel


def input_words(model: QuantizedModel, sequence: Sequence[Any] | np.ndarray) -> list[int]:
    """Return the words of a sequence; TLAST belongs to the last one.

    Args:
        model: The model.
        sequence: Tokens, which are words as they are; of a model of features the input events of each step, int, shape (steps, channels).
            An event is the word {index, value}, the value in its low ``event_bits`` bits; the word 0 ends a step (docs/host_link.md).
    """
    if not model.channels:
        return [int(token) for token in sequence]
    words: list[int] = []
    for step in np.asarray(sequence):
        channels = np.flatnonzero(step)
        words += [*(channels << model.formats.event_bits | step[channels]).tolist(), 0]
    return words
