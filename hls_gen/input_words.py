"""What a sequence looks like on the input stream of the core, whatever drives it."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:  # the host library takes words alone, and runs where nothing that reads models is installed
    from sw_model.quantized_model import QuantizedModel


def input_words(model: "QuantizedModel", sequence: Sequence[Any] | np.ndarray) -> list[int]:
    """Return the words of a sequence; TLAST belongs to the last one.

    Args:
        model: The model.
        sequence: Tokens, which are words as they are; of a model of features the input events of each step, int, shape (steps, channels).
            An event is the word {index, value}, the value in its low ``event_bits`` bits; the word 0 ends a step (docs/host_link.md).
    """
    if not model.channels:
        return [int(token) for token in sequence]
    words: list[int] = event_words(np.asarray(sequence), model.formats.event_bits).tolist()
    return words


def event_words(events: np.ndarray, event_bits: int) -> np.ndarray:
    """Return the words of some steps of a feature stream.

    Args:
        events: The input events of each step, int, shape (steps, channels).
        event_bits: Bits of an event.

    Returns:
        int64: of each step its events in the order of the channels, then the word that ends it.
    """
    steps, channels = np.nonzero(events)
    counts = np.bincount(steps, minlength=len(events))
    return np.insert(channels << event_bits | events[steps, channels], np.cumsum(counts), 0)
