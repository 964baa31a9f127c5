"""Words of the input stream: tokens as they are, features as events and ends of steps."""

import numpy as np

from hls_gen.input_words import input_words
from sw_model.random_model import RandomModelSpec, random_model


def test_tokens_are_words() -> None:
    assert input_words(random_model(RandomModelSpec(hidden=(4,))), [3, 0, 15]) == [3, 0, 15]


def test_events_have_index_and_value_and_every_step_an_end() -> None:
    model = random_model(RandomModelSpec(hidden=(4,), features=3))
    steps = np.array([[0, 255, 1], [0, 0, 0], [7, 0, 0]], np.int16)
    assert input_words(model, steps) == [1 << 8 | 255, 2 << 8 | 1, 0, 0, 7, 0]
    assert input_words(model, steps.tolist()) == input_words(model, steps)
