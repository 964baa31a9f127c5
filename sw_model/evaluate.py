"""How well a network predicts a split: bits per symbol and event density, float, fake-quantised or integer."""

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch.nn import functional

from sw_model.errors import UserError
from sw_model.event_gru import EventNetwork
from sw_model.quantized_model import QuantizedModel
from sw_model.reference import BatchedReference

CHUNK = 64


@dataclass(frozen=True)
class Evaluation:
    """What was measured over a split.

    Attributes:
        symbols: Symbols predicted.
        bits_per_symbol: Mean of -log2 p.
        event_density: Events per neuron and step, per layer.
        total_event_density: The same over all layers, weighted by neurons.
    """

    symbols: int
    bits_per_symbol: float
    event_density: tuple[float, ...]
    total_event_density: float

    @property
    def perplexity(self) -> float:
        """Two to the power of the bits."""
        return float(2.0**self.bits_per_symbol)


def deal(tokens: np.ndarray, streams: int) -> np.ndarray:
    """Deal a text over contiguous streams, each beginning with the last symbol of the one before.

    Args:
        tokens: int, shape (symbols,).
        streams: How many; fewer when the text is short.

    Returns:
        Shape (streams, steps + 1): column t is read, column t + 1 predicted. At most ``streams - 1`` symbols at the end are left out.

    Raises:
        UserError: When there is nothing to predict.
    """
    if len(tokens) < 2:
        raise UserError(f"a text of {len(tokens)} symbols", "leaves nothing to predict", "give a longer text")
    streams = max(1, min(streams, (len(tokens) - 1) // CHUNK))
    steps = (len(tokens) - 1) // streams
    return np.stack([tokens[i * steps : (i + 1) * steps + 1] for i in range(streams)])


def evaluate_network(network: EventNetwork, tokens: np.ndarray, streams: int = 16) -> Evaluation:
    """Measure a float or fake-quantised network in its own floating type; the state is carried along each stream.

    Args:
        network: Left in the mode it was in.
        tokens: int, shape (symbols,).
        streams: See `deal`; every stream starts at zero state.
    """
    dealt = torch.as_tensor(deal(tokens, streams)).t().contiguous()
    was_training, state, bits = network.training, None, 0.0
    events = np.zeros(len(network.config.hidden_sizes))
    network.eval()
    with torch.no_grad():
        for start in range(0, len(dealt) - 1, CHUNK):
            chunk = dealt[start : start + CHUNK + 1]
            output = network(chunk[:-1], state)
            state = output.state
            logits = output.logits.flatten(0, 1).double()
            bits += float(functional.cross_entropy(logits, chunk[1:].flatten(), reduction="sum")) / math.log(2.0)
            events += [float(fired.sum(dtype=torch.float64)) for fired in output.fired]
    network.train(was_training)
    return _evaluation((len(dealt) - 1) * dealt.shape[1], bits, events, network.config.hidden_sizes)


def evaluate_model(model: QuantizedModel, tokens: np.ndarray, streams: int = 16) -> Evaluation:
    """Measure an exported model through the integer reference; arguments as for `evaluate_network`."""
    dealt = deal(tokens, streams)
    scale = 2.0 ** -(model.decoder.weight_frac + model.formats.event_bits)
    bits, events = 0.0, np.zeros(len(model.layers))
    for step, wanted in zip(BatchedReference(model).run(dealt[:, :-1]), dealt[:, 1:].T, strict=True):
        logits = step.logits * scale
        peak = logits.max(axis=1)
        total = peak + np.log(np.exp(logits - peak[:, None]).sum(axis=1))
        bits += float((total - logits[np.arange(len(wanted)), wanted]).sum()) / math.log(2.0)
        events += [int(fired.sum()) for fired in step.fired]
    return _evaluation(dealt[:, 1:].size, bits, events, tuple(layer.neurons for layer in model.layers))


def _evaluation(symbols: int, bits: float, events: np.ndarray, sizes: tuple[int, ...]) -> Evaluation:
    density = tuple(float(e / (n * symbols)) for e, n in zip(events, sizes, strict=True))
    return Evaluation(symbols, bits / symbols, density, float(events.sum() / (sum(sizes) * symbols)))
