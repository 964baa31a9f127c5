"""How well a network predicts a split: bits per symbol, events, digest; float, fake-quantised or integer."""

import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import reduce
from operator import add

import numpy as np
import torch
from torch.nn import functional

from sw_model.digest import RunDigest
from sw_model.errors import UserError
from sw_model.event_gru import EventNetwork, NetworkOutput
from sw_model.macs import EventCounter, EventCounts
from sw_model.quantized_model import QuantizedModel
from sw_model.quantizers import QuantizedArithmetic
from sw_model.reference import BatchedReference, initial_state

CHUNK = 64

#: Is told how many symbols have just been predicted, and of how many in all.
Advance = Callable[[int, int], None]


@dataclass(frozen=True)
class Evaluation:
    """What was measured over a split.

    Attributes:
        bits_per_symbol: Mean of -log2 p.
        events: How often each neuron sent an event.
        digest: Of every event and logit, see `sw_model.digest.RunDigest`; None when it was not asked for.
    """

    bits_per_symbol: float
    events: EventCounts
    digest: str | None = None

    @property
    def symbols(self) -> int:
        """Symbols predicted, one in each time step."""
        return self.events.steps

    @property
    def perplexity(self) -> float:
        """Two to the power of the bits."""
        return float(2.0**self.bits_per_symbol)

    @property
    def event_density(self) -> tuple[float, ...]:
        """Events per neuron and step, per layer."""
        return self.events.density

    @property
    def total_event_density(self) -> float:
        """The same over all layers, weighted by neurons."""
        return self.events.total_density


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


def evaluate_network(
    network: EventNetwork, tokens: np.ndarray, streams: int = 16, *, digest: bool = False, advance: Advance | None = None
) -> Evaluation:
    """Measure a float or fake-quantised network in its own floating type; the state is carried along each stream.

    Args:
        network: On any device; left in the mode it was in.
        tokens: int, shape (symbols,).
        streams: See `deal`; every stream starts at zero state.
        digest: Whether to digest the run; a network that equals its exported model gives the digest of `evaluate_model`.
        advance: Called as the run goes on.

    Raises:
        UserError: When there is nothing to predict, or a digest is wanted of a network that is not quantised and in float64.
    """
    device = network.decoder_bias.device
    dealt = torch.as_tensor(deal(tokens, streams)).t().contiguous().to(device)
    symbols = dealt[1:].numel()
    run = _NetworkDigest(network, dealt.shape[1]) if digest else None
    was_training, state, bits = network.training, None, 0.0
    sent = [torch.zeros(neurons, dtype=torch.int64, device=device) for neurons in network.config.hidden_sizes]
    last = sent
    network.eval()
    with torch.no_grad():
        for start in range(0, len(dealt) - 1, CHUNK):
            chunk = dealt[start : start + CHUNK + 1]
            output = network(chunk[:-1], state)
            state = output.state
            logits = output.logits.flatten(0, 1).double()
            bits += float(functional.cross_entropy(logits, chunk[1:].flatten(), reduction="sum")) / math.log(2.0)
            sent = [total + fired.long().sum(dim=(0, 1)) for total, fired in zip(sent, output.fired, strict=True)]
            last = [fired[-1].long().sum(dim=0) for fired in output.fired]
            if run is not None:
                run.update(output)
            if advance is not None:
                advance(chunk[1:].numel(), symbols)
    network.train(was_training)
    all_sent, all_last = (tuple(layer.cpu().numpy() for layer in counts) for counts in (sent, last))
    return Evaluation(bits / symbols, EventCounts(symbols, all_sent, all_last), None if run is None else run.digest.hexdigest())


def evaluate_model(
    model: QuantizedModel,
    tokens: np.ndarray,
    streams: int = 16,
    *,
    jobs: int = 1,
    digest: bool = False,
    advance: Advance | None = None,
) -> Evaluation:
    """Measure an exported model through the integer reference, in one pass; the state is carried along each stream.

    Args:
        model: The model.
        tokens: int, shape (symbols,).
        streams: See `deal`; every stream starts at zero state.
        jobs: Threads that the streams are dealt over; the result is the same, to the last bit, for any number.
        digest: Whether to digest the run.
        advance: Called as the run goes on.

    Raises:
        UserError: When there is nothing to predict.
    """
    dealt = deal(tokens, streams)
    symbols, jobs, bits = dealt[:, 1:].size, min(jobs, len(dealt)), 0.0
    reference = BatchedReference(model)
    parts = [_Streams(model, reference, len(rows), digest=digest) for rows in np.array_split(dealt, jobs)]
    with ThreadPoolExecutor(jobs) as pool:
        for start in range(0, dealt.shape[1] - 1, CHUNK):
            chunk = dealt[:, start : start + CHUNK + 1]
            surprisals = list(pool.map(_Streams.predict, parts, np.array_split(chunk, jobs)))
            # Joined before they are summed: a sum of floats depends on its order.
            bits += float(np.concatenate(surprisals).sum())
            if advance is not None:
                advance(chunk[:, 1:].size, symbols)
    events = reduce(add, (part.events.counts() for part in parts))
    return Evaluation(bits / symbols, events, reduce(add, (part.digest for part in parts)).hexdigest() if digest else None)


class _Streams:
    """The streams of one job on their way through the reference."""

    def __init__(self, model: QuantizedModel, reference: BatchedReference, streams: int, *, digest: bool) -> None:
        self.events = EventCounter(model)
        self.digest = RunDigest(streams)
        self._digested = digest
        self._reference = reference
        self._states = initial_state(model, (streams,))
        self._scale = 2.0 ** -(model.decoder.weight_frac + model.formats.event_bits)

    def predict(self, chunk: np.ndarray) -> np.ndarray:
        """Read ``chunk[:, :-1]``; return the bits of ``chunk[:, 1:]``, shape (streams, steps)."""
        bits = np.empty(chunk[:, 1:].shape)
        for t, step in enumerate(self._reference.run(chunk[:, :-1], self._states)):
            bits[:, t] = _surprisal(step.logits, chunk[:, t + 1], self._scale)
            self.events.add(step.fired)
            if self._digested:
                self.digest.update(step.events, step.fired, step.logits)
        return bits


def _surprisal(logits: np.ndarray, wanted: np.ndarray, scale: float) -> np.ndarray:
    """Return -log2 p of the ``wanted`` classes, shape (streams,), for integer logits of shape (streams, classes)."""
    exponents = (logits - logits.max(axis=1, keepdims=True)) * scale
    chosen = exponents[np.arange(len(wanted)), wanted]
    bits: np.ndarray = (np.log(np.exp(exponents, out=exponents).sum(axis=1)) - chosen) / math.log(2.0)
    return bits


class _NetworkDigest:
    """Turns what a quantised network computes back into integers, for a digest."""

    def __init__(self, network: EventNetwork, streams: int) -> None:
        arithmetic = network.arithmetic
        if not isinstance(arithmetic, QuantizedArithmetic) or network.decoder_bias.dtype != torch.float64:
            rule = "needs integers, which only a quantised network in float64 computes"
            raise UserError("the digest of a run", rule, "quantise the network and call its double()")
        self.digest = RunDigest(streams)
        event_bits = arithmetic.formats.event_bits
        self._event_scale = 2.0**event_bits
        self._logit_scale = 2.0 ** (arithmetic.weights["decoder"].frac + event_bits)

    def update(self, output: NetworkOutput) -> None:
        """Add a chunk of time."""
        events = [(layer * self._event_scale).cpu().numpy() for layer in output.events]
        fired = [layer.cpu().numpy() for layer in output.fired]
        for t, logits in enumerate((output.logits * self._logit_scale).cpu().numpy()):
            self.digest.update([layer[t] for layer in events], [layer[t] for layer in fired], logits)
