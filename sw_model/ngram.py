"""The baseline to stand beside: an interpolated n-gram model with Witten-Bell smoothing.

    p_0(w)     = 1 / V
    p_k(w | h) = (c(h w) + T(h) p_(k-1)(w | h')) / (c(h) + T(h))

where h is the context of k - 1 symbols, h' the same without its first, c counts in the training split and T(h) is the number of distinct
symbols seen after h. A context never seen leaves p_(k-1) as it is.
"""

import numpy as np

from sw_model.datasets import TextDataset, Unit
from sw_model.errors import UserError

DEFAULT_ORDER: dict[Unit, int] = {"characters": 6, "words": 3}


def bits_per_symbol(dataset: TextDataset, order: int | None = None, split: str = "test") -> float:
    """Train on the training split and measure another.

    Args:
        dataset: The text.
        order: Longest n-gram; 6 for characters and 3 for words when not given.
        split: What is measured; its first symbol has no context and is left out, as the network leaves it out.

    Returns:
        Mean of -log2 p over the symbols of ``split``.
    """
    order = DEFAULT_ORDER[dataset.unit] if order is None else order
    if order < 1:
        raise UserError(f"order={order} of the n-gram baseline", "is below 1", "give 1 or more")
    train, measured = dataset.train, dataset.split(split)
    tokens = np.concatenate([train, measured])
    trained = np.arange(len(tokens)) < len(train)
    probability = np.full(len(measured), 1.0 / len(dataset.vocabulary))
    context = np.zeros(len(tokens), np.int64)
    start = np.where(trained, np.arange(len(tokens)), np.arange(len(tokens)) - len(train))
    for length in range(order):
        if length:
            context = _lengthen(context, tokens, length)
        # An n-gram lies in one split: its first symbols have contexts that are too long for them.
        whole = start >= length
        probability = _interpolate(probability, context, tokens, trained, whole, len(dataset.vocabulary))
    return float(-np.log2(probability[1:]).mean())


def _lengthen(context: np.ndarray, tokens: np.ndarray, length: int) -> np.ndarray:
    """Number the contexts that are one symbol longer: the symbol ``length`` places back, then the context so far."""
    before = np.concatenate([np.zeros(length, np.int64), tokens[:-length]])
    return np.unique(before * (int(context.max()) + 1) + context, return_inverse=True)[1].astype(np.int64)


def _interpolate(
    shorter: np.ndarray, context: np.ndarray, tokens: np.ndarray, trained: np.ndarray, whole: np.ndarray, vocabulary: int
) -> np.ndarray:
    """Return p_k of every measured position from p_(k-1)."""
    gram = context * vocabulary + tokens
    seen, counts = np.unique(gram[trained & whole], return_counts=True)
    contexts = int(context.max()) + 1
    context_count = np.bincount(context[trained & whole], minlength=contexts)
    distinct = np.bincount(seen // vocabulary, minlength=contexts)
    measured = ~trained
    place = np.minimum(np.searchsorted(seen, gram[measured]), len(seen) - 1)
    count = np.where(seen[place] == gram[measured], counts[place], 0)
    total, kinds = context_count[context[measured]], distinct[context[measured]]
    usable = whole[measured] & (total > 0)
    longer = (count + kinds * shorter) / np.maximum(total + kinds, 1)
    return np.where(usable, longer, shorter)
