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
    return [word for step in np.asarray(sequence) for word in step_words(step, model.formats.event_bits)]


def step_words(events: np.ndarray, event_bits: int) -> list[int]:
    """Return the words of one time step of a model of features: its events in the order of their channels, then the end.

    Args:
        events: 0 for silence, int, shape (channels,).
        event_bits: Bits of an event.
    """
    channels = np.flatnonzero(events)
    return [*(channels << event_bits | events[channels]).tolist(), 0]
