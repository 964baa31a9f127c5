"""Words of the input stream of a core, right and wrong ones: what a core must make of them, whatever it was written in.

A word is (TDATA, TLAST). Wrong are tokens out of range, which count as token 0; of a feature stream (docs/host_link.md) events of no
channel, which are dropped, events with TLAST, which lose it, and ends with an index, which are ends.
"""

import random
from collections.abc import Iterable, Iterator

import numpy as np

from sw_model.quantized_model import QuantizedModel

Word = tuple[int, ...]


def draw_step(model: QuantizedModel, rng: random.Random) -> list[Word]:
    """Draw the words of a time step, some of them wrong; the events of a step are of different channels, in any order."""
    last = int(rng.random() < 0.2)
    if not model.channels:
        return [(rng.randrange(model.tokens * 5 // 4), last)]
    bits, top = model.formats.event_bits, model.formats.event_max
    indices = rng.sample(range(model.channels + 2), rng.randint(0, model.channels))
    events = [(index << bits | rng.randint(1, top), int(rng.random() < 0.02)) for index in indices]
    return [*events, (rng.choice([0] * 19 + [1]) << bits, last)]


def is_wrong(model: QuantizedModel, word: Word) -> bool:
    """Say whether a core of ``model`` reports an error at ``word``."""
    data, last = word
    if not model.channels:
        return data >= model.tokens
    index, value = divmod(data, 1 << model.formats.event_bits)
    return bool(index >= model.channels or last) if value else index != 0


def steps_of(model: QuantizedModel, words: Iterable[Word]) -> Iterator[tuple[int | np.ndarray, int]]:
    """Yield what a core that takes ``words`` shows its first layer in each time step, and whether that ends a sequence.

    Yields:
        A token, or the input events, int64, shape (channels,); and 1 at the end of a sequence, else 0.
    """
    events = np.zeros(model.channels, np.int64)
    for data, last in words:
        if not model.channels:
            yield data if data < model.tokens else 0, last
            continue
        index, value = divmod(data, 1 << model.formats.event_bits)
        if not value:
            yield events, last
            events = np.zeros(model.channels, np.int64)
        elif index < model.channels:
            events[index] = value
