import math

import numpy as np
import pytest

from sw_model.datasets import TextDataset, load_text
from sw_model.errors import UserError
from sw_model.ngram import bits_per_symbol


def _text(train: list[int], test: list[int], symbols: int) -> TextDataset:
    vocabulary = tuple(chr(97 + i) for i in range(symbols))
    return TextDataset("tiny", "characters", vocabulary, np.array(train), np.array(test), np.array(test))


def test_unigrams_by_hand() -> None:
    # c(a) = 3, c(b) = 1, N = 4, T = 2, V = 4: p(a) = (3 + 2/4) / 6, p(b) = (1 + 2/4) / 6, p(c) = (2/4) / 6
    text = _text([0, 0, 1, 0], [0, 0, 1, 2], 4)
    wanted = -(math.log2(3.5 / 6) + math.log2(1.5 / 6) + math.log2(0.5 / 6)) / 3
    assert bits_per_symbol(text, 1) == pytest.approx(wanted)


def test_bigrams_by_hand() -> None:
    # training a a b a: after a come a and b (c = 2, T = 2), after b comes a (c = 1, T = 1); c is never a context
    text = _text([0, 0, 1, 0], [0, 1, 0, 2, 0], 4)
    a, b, c = 3.5 / 6, 1.5 / 6, 0.5 / 6
    wanted = [(1 + 2 * b) / 4, (1 + 1 * a) / 2, (0 + 2 * c) / 4, a]
    assert bits_per_symbol(text, 2) == pytest.approx(-sum(math.log2(p) for p in wanted) / 4)


def test_contexts_of_a_brute_force_model_agree() -> None:
    rng = np.random.default_rng(0)
    train, test = rng.integers(0, 3, 200).tolist(), rng.integers(0, 4, 40).tolist()

    def probability(history: list[int], word: int) -> float:
        p = 0.25
        for length in range(min(3, len(history) + 1)):
            context = history[len(history) - length :]
            follow = [train[i + length] for i in range(len(train) - length) if train[i : i + length] == context]
            if follow:
                p = (follow.count(word) + len(set(follow)) * p) / (len(follow) + len(set(follow)))
        return p

    wanted = -sum(math.log2(probability(test[max(0, i - 2) : i], test[i])) for i in range(1, len(test))) / (len(test) - 1)
    assert bits_per_symbol(_text(train, test, 4), 3) == pytest.approx(wanted)


def test_order_below_one_is_refused() -> None:
    with pytest.raises(UserError, match="order=0"):
        bits_per_symbol(_text([0, 1], [0, 1], 2), 0)


def test_embedded_text() -> None:
    assert 1.5 < bits_per_symbol(load_text()) < 2.1
