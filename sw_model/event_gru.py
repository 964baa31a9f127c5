"""The event-based GRU: docs/semantics.md, sections 4 to 6, in real numbers.

Per layer and time step, gates in the order z, r, g; the recurrence uses the emitted event value y, not the state c:

    z, r = σ(W x + R y⁻ + b)                         (gates z and r)
    g    = tanh(W_g x + b_g + r ⊙ (R_g y⁻ + d))      (reset applied after the recurrent product)
    ĉ    = g + z ⊙ (c⁻ − g)                          (= z ⊙ c⁻ + (1 − z) ⊙ g)
    event iff ĉ > θ                                  (strict: ĉ = θ is no event)
    y    = ĉ if event else 0,   c = ĉ − θ if event else ĉ

The equations and the loop stand here once. What differs between the float network and its quantised form is only the `Arithmetic` that the
network holds: `sw_model.quantizers.QuantizedArithmetic` rounds and saturates where docs/semantics.md says so.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn
from torch.nn import functional

from sw_model.dropout import DropoutMasks, Mask, MaskShapes, drop
from sw_model.scan_gradient import Surrogate, scan_with_gradient, strict_step
from sw_model.strict_toml import StrictModel

THRESHOLD_MAX = 1.0 - 2.0**-7
TIED_SPREAD = 0.1


class NetworkShape(StrictModel):
    """What a user chooses of a network.

    Attributes:
        embedding_size: Length of an embedding row.
        hidden_sizes: Neurons per layer.
        threshold_mean: Mean m of the initial θ, drawn from Beta(3m/(1−m), 3).
        learn_thresholds: Whether θ is trained or stays as drawn.
        surrogate_damp: Height of the surrogate gradient at ĉ = θ.
        surrogate_support: Steepness of its flanks; it is zero where |ĉ − θ| ≥ 1/support.
        update_bias: Initial bias of the gate z; positive values make neurons remember longer.
        tied_decoder: The decoder's weights are the embedding (Press and Wolf, 2017); such a decoder is not pruned.
    """

    embedding_size: int = Field(default=64, ge=1, le=4096)
    hidden_sizes: tuple[Annotated[int, Field(ge=1, le=8192)], ...] = Field(default=(128, 128), min_length=1, max_length=64)
    threshold_mean: float = Field(default=0.01, gt=0, lt=1)
    learn_thresholds: bool = False
    surrogate_damp: float = Field(default=3.6, gt=0)
    surrogate_support: float = Field(default=3.6, gt=0)
    update_bias: float = 0.0
    tied_decoder: bool = False

    @model_validator(mode="after")
    def _check_tie(self) -> "NetworkShape":
        if self.tied_decoder and self.embedding_size != self.hidden_sizes[-1]:
            raise ValueError(
                f"tied_decoder needs embedding_size={self.embedding_size} to equal the last of hidden_sizes={list(self.hidden_sizes)}"
            )
        return self


class NetworkConfig(NetworkShape):
    """Shape and neuron constants of a network of tokens.

    Attributes:
        tokens: Distinct input symbols; also the number of classes.
    """

    tokens: int = Field(ge=1)

    @property
    def channels(self) -> int:
        """Input events of a step: none, tokens take their place."""
        return 0

    @property
    def classes(self) -> int:
        """Number of logits."""
        return self.tokens


class FeatureNetworkConfig(NetworkShape):
    """Shape and neuron constants of a network of features; it has no embedding, so ``embedding_size`` means nothing.

    Attributes:
        channels: Inputs of layer 0, see `sw_model.input_encoding.FeatureInput`.
        classes: Number of logits.
    """

    channels: int = Field(ge=1, le=1 << 16)
    classes: int = Field(ge=1, le=1 << 16)

    @property
    def tokens(self) -> int:
        """Distinct input symbols: none."""
        return 0

    @model_validator(mode="after")
    def _check_untied(self) -> "FeatureNetworkConfig":
        if self.tied_decoder:
            raise ValueError("tied_decoder needs an embedding, which a network of features has not")
        return self


AnyNetworkConfig = NetworkConfig | FeatureNetworkConfig


class Arithmetic(nn.Module):
    """Real numbers: nothing rounds. The hooks are the places where a quantised network does.

    `weight` and `decoder_bias` name the matrix group that shares one exponent: embedding, input, layers.0 ..., decoder.
    """

    def weight(self, group: str, weight: Tensor) -> Tensor:
        """Return the weights of ``group`` as the products use them."""
        return weight

    def decoder_bias(self, bias: Tensor) -> Tensor:
        """Return the decoder's bias at the accumulator's scale."""
        return bias

    def preactivation(self, x: Tensor) -> Tensor:
        """Bring a sum of products, a bias or an input-table entry to the pre-activation format."""
        return x

    def sigmoid(self, a: Tensor) -> Tensor:
        """Return σ(a)."""
        return torch.sigmoid(a)

    def tanh(self, a: Tensor) -> Tensor:
        """Return the hyperbolic tangent of ``a``."""
        return torch.tanh(a)

    def state(self, c: Tensor) -> Tensor:
        """Bring a change of state to the state format."""
        return c

    def threshold(self, theta: Tensor) -> Tensor:
        """Bring θ to the state format."""
        return theta

    def event(self, c_hat: Tensor) -> Tensor:
        """Turn ĉ of a neuron that fires into the event value it sends."""
        return c_hat


class EventLayer(nn.Module):
    """Parameters of one layer; layer 0 of a network of tokens has no ``weight``, its input comes through the token table.

    Attributes:
        weight: W, shape (3, neurons, inputs).
        recurrent_weight: R, shape (3, neurons, neurons).
        bias: b, shape (3, neurons).
        reset_bias: d, shape (neurons,).
        threshold: θ, shape (neurons,), in [0, 1).
    """

    def __init__(self, inputs: int, neurons: int, config: AnyNetworkConfig) -> None:
        """Draw initial values from torch's generator."""
        super().__init__()
        self.neurons = neurons
        bound = 1.0 / math.sqrt(neurons)
        self.weight = nn.Parameter(torch.empty(3, neurons, inputs).uniform_(-bound, bound)) if inputs else None
        self.recurrent_weight = nn.Parameter(torch.empty(3, neurons, neurons).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.zeros(3, neurons))
        self.reset_bias = nn.Parameter(torch.zeros(neurons))
        alpha = 3.0 * config.threshold_mean / (1.0 - config.threshold_mean)
        # A Beta variate from torch's own Gamma sampler, so that one seed fixes the whole network.
        # Drawn on the CPU: not every torch samples for a network without storage, which `checkpoint` makes to compare shapes.
        gammas = torch._standard_gamma(torch.tensor([[alpha], [3.0]], device="cpu").expand(2, neurons).contiguous())
        theta = (gammas[0] / gammas.sum(dim=0)).clamp_(0.0, THRESHOLD_MAX)
        self.threshold = nn.Parameter(theta, requires_grad=config.learn_thresholds)
        with torch.no_grad():
            self.bias[0] = config.update_bias


@dataclass
class LayerState:
    """What a layer carries from call to call; shape (streams, neurons), without gradient."""

    c: Tensor
    y: Tensor


@dataclass(frozen=True)
class NetworkOutput:
    """What a network did over a chunk of time.

    Attributes:
        logits: Shape (steps, streams, classes).
        events: Event values per layer, shape (steps, streams, neurons).
        fired: 1 where a neuron sent an event, else 0, per layer, same shape; carries the surrogate gradient.
        state: State after the last step, to be passed to the next call.
    """

    logits: Tensor
    events: list[Tensor]
    fired: list[Tensor]
    state: list[LayerState]


@dataclass(frozen=True)
class Scan:
    """One layer over a chunk of time: all that the loop reads.

    Attributes:
        arithmetic: Where and how values are rounded.
        surrogate: Gradient of the event.
        input_sums: W_z x, W_r x; shape (steps, streams, 2 * neurons); None in layer 0 of a network of tokens.
        offset: b_z, b_r, d; shape (3 * neurons,). With tokens in layer 0 p_z, p_r, d; shape (steps, streams, 3 * neurons).
        candidate_input: W_g x + b_g (with tokens in layer 0: p_g), shape (steps, streams, neurons).
        recurrent: R of all gates transposed, shape (neurons, 3 * neurons).
        threshold: θ, shape (neurons,).
    """

    arithmetic: Arithmetic
    surrogate: Surrogate
    input_sums: Tensor | None
    offset: Tensor
    candidate_input: Tensor
    recurrent: Tensor
    threshold: Tensor


@dataclass(frozen=True, slots=True)
class Trace:
    """One layer after one time step; shape (streams, neurons), gates z and r side by side (streams, 2 * neurons)."""

    c: Tensor
    y: Tensor
    fired: Tensor
    gates: Tensor
    a_reset: Tensor
    g: Tensor
    c_hat: Tensor


def step(scan: Scan, t: int, c: Tensor, y: Tensor) -> Trace:
    """Compute one layer for one time step.

    Args:
        scan: The layer.
        t: Which step of the chunk.
        c: State before the step, shape (streams, neurons).
        y: Event values of the step before, same shape.
    """
    arithmetic, neurons = scan.arithmetic, y.shape[-1]
    sums = y @ scan.recurrent
    if scan.input_sums is not None:
        sums[:, : 2 * neurons] += scan.input_sums[t]
    a = arithmetic.preactivation(sums) + (scan.offset if scan.offset.ndim == 1 else scan.offset[t])
    gates = arithmetic.sigmoid(a[:, : 2 * neurons])
    z, r = gates[:, :neurons], gates[:, neurons:]
    a_reset = a[:, 2 * neurons :]
    g = arithmetic.tanh(scan.candidate_input[t] + r * a_reset)
    c_hat = g + arithmetic.state(z * (c - g))
    fired = strict_step(c_hat - scan.threshold, scan.surrogate)
    return Trace(c_hat - scan.threshold * fired, arithmetic.event(c_hat) * fired, fired, gates, a_reset, g, c_hat)


def run_scan(scan: Scan, state: LayerState) -> list[Trace]:
    """Run the loop over time."""
    c, y = state.c, state.y
    trace = []
    for t in range(scan.candidate_input.shape[0]):
        trace.append(step(scan, t, c, y))
        c, y = trace[-1].c, trace[-1].y
    return trace


class EventNetwork(nn.Module):
    """Token embedding or input events of features, EGRU layers and a linear decoder.

    A network of features has neither ``embedding`` nor ``input_weight``; its layer 0 reads events as every other layer does.
    """

    def __init__(self, config: AnyNetworkConfig, arithmetic: Arithmetic | None = None) -> None:
        """Draw initial weights from torch's generator.

        Args:
            config: Shape and neuron constants.
            arithmetic: Float when not given.
        """
        super().__init__()
        self.config = config
        self.arithmetic = arithmetic or Arithmetic()
        first, last = config.hidden_sizes[0], config.hidden_sizes[-1]
        bound = 1.0 / math.sqrt(config.embedding_size)
        # A tied row is a decoder row too: values that suit an embedding alone would begin with logits far from even.
        spread = TIED_SPREAD if config.tied_decoder else 1.0
        self.embedding = self.input_weight = None
        if config.tokens:
            self.embedding = nn.Parameter(torch.empty(config.tokens, config.embedding_size).uniform_(-spread, spread))
            self.input_weight = nn.Parameter(torch.empty(3, first, config.embedding_size).uniform_(-bound, bound))
        inputs = (config.channels, *config.hidden_sizes[:-1])
        self.layers = nn.ModuleList(EventLayer(i, n, config) for i, n in zip(inputs, config.hidden_sizes, strict=True))
        bound = 1.0 / math.sqrt(last)
        untied = torch.empty(config.classes, last).uniform_(-bound, bound)
        tied = self.embedding if config.tied_decoder else None
        self.decoder_weight = nn.Parameter(untied) if tied is None else tied
        self.decoder_bias = nn.Parameter(torch.zeros(config.classes))

    def initial_state(self, streams: int) -> list[LayerState]:
        """Return the state at the start of a sequence."""
        like = self.decoder_bias
        return [LayerState(like.new_zeros(streams, n), like.new_zeros(streams, n)) for n in self.config.hidden_sizes]

    def mask_shapes(self, steps: int) -> MaskShapes:
        """Return what the dropout masks of a call of ``steps`` time steps depend on."""
        config = self.config
        return MaskShapes(steps, config.tokens, config.channels or config.embedding_size, config.hidden_sizes)

    def matrices(self) -> dict[str, list[Tensor]]:
        """Return the weights by the group that shares an exponent."""
        groups: dict[str, list[Tensor]] = {}
        if self.embedding is not None and self.input_weight is not None:
            groups = {"embedding": [self.embedding], "input": [self.input_weight]}
        for index, layer in enumerate(self.event_layers()):
            weights = (layer.recurrent_weight, layer.weight)
            groups[f"layers.{index}"] = [weight for weight in weights if weight is not None]
        groups["decoder"] = [self.decoder_weight]
        return groups

    def input_table(self) -> Tensor:
        """Return p: what each token adds to layer 0's pre-activations, shape (tokens, 3 * neurons)."""
        assert self.embedding is not None  # a network of features has no such table
        return self._input_preactivations(self.arithmetic.weight("embedding", self.embedding))

    def _input_preactivations(self, rows: Tensor) -> Tensor:
        """Return p of embedding rows, shape (..., embedding_size) to (..., 3 * neurons)."""
        arithmetic = self.arithmetic
        assert self.input_weight is not None
        product = functional.linear(rows, arithmetic.weight("input", self.input_weight).flatten(0, 1))
        bias = arithmetic.preactivation(self.event_layers()[0].bias).flatten()
        return arithmetic.preactivation(arithmetic.preactivation(product) + bias)

    def forward(self, inputs: Tensor, state: Sequence[LayerState] | None = None, masks: DropoutMasks | None = None) -> NetworkOutput:
        """Run the network over a chunk of time.

        Args:
            inputs: Tokens, int64, shape (steps, streams); of a network of features the input events as real numbers, that is the encoded
                integers times 2^-event_bits, shape (steps, streams, channels).
            state: What the call before returned; zero at the start of a sequence. No gradient flows into it.
            masks: What to drop; nothing when not given. That of the embedding drops input events in a network of features.

        Raises:
            ValueError: When a network of features is given integers.
        """
        if inputs.is_floating_point() != bool(self.config.channels):
            raise ValueError(
                f"inputs of type {inputs.dtype} suit no network of {self.config.channels} channels and {self.config.tokens} tokens"
            )
        states = list(state) if state is not None else self.initial_state(inputs.shape[1])
        events: list[Tensor] = []
        fired: list[Tensor] = []
        for index in range(len(states)):
            recurrent = masks.recurrent[index] if masks else None
            if events:
                scan = self._event_layer(index, drop(masks.between[index - 1] if masks else None, events[-1]), recurrent)
            elif self.config.channels:
                x = inputs.to(self.decoder_bias.dtype)
                scan = self._event_layer(index, drop(masks.embedding if masks else None, x), recurrent)
            else:
                scan = self._token_layer(inputs, masks, recurrent)
            y, spikes, states[index] = scan_with_gradient(run_scan, scan, states[index])
            events.append(y)
            fired.append(spikes)
        x = drop(masks.decoder if masks else None, events[-1])
        weight = self.arithmetic.weight("decoder", self.decoder_weight)
        logits = functional.linear(x, weight, self.arithmetic.decoder_bias(self.decoder_bias))
        return NetworkOutput(logits, events, fired, states)

    def event_layers(self) -> list[EventLayer]:
        """Return the layers, first to last."""
        return [layer for layer in self.layers if isinstance(layer, EventLayer)]

    def _token_layer(self, tokens: Tensor, masks: DropoutMasks | None, recurrent: Mask | None) -> Scan:
        layer = self.event_layers()[0]
        assert self.embedding is not None
        split = 2 * layer.neurons
        rows = drop(masks.word if masks else None, self.arithmetic.weight("embedding", self.embedding))
        by_place = masks is not None and masks.embedding is not None
        if masks is not None and masks.embedding is not None:
            rows = masks.embedding.apply(functional.embedding(tokens, rows))
        p = self._input_preactivations(rows)
        reset_bias = self.arithmetic.preactivation(layer.reset_bias).expand(*p.shape[:-1], -1)
        offset, candidate_input = torch.cat([p[..., :split], reset_bias], dim=-1), p[..., split:]
        if not by_place:
            # One product for each symbol, not for each place in the text.
            offset, candidate_input = functional.embedding(tokens, offset), functional.embedding(tokens, candidate_input)
        return self._scan(0, None, offset, candidate_input, recurrent)

    def _event_layer(self, index: int, x: Tensor, recurrent: Mask | None) -> Scan:
        layer, arithmetic = self.event_layers()[index], self.arithmetic
        assert layer.weight is not None  # only layer 0 of a network of tokens has none
        split = 2 * layer.neurons
        weight = arithmetic.weight(f"layers.{index}", layer.weight).flatten(0, 1)
        bias = arithmetic.preactivation(layer.bias).flatten()
        offset = torch.cat([bias[:split], arithmetic.preactivation(layer.reset_bias)])
        candidate_input = arithmetic.preactivation(functional.linear(x, weight[split:])) + bias[split:]
        return self._scan(index, functional.linear(x, weight[:split]), offset, candidate_input, recurrent)

    def _scan(self, index: int, input_sums: Tensor | None, offset: Tensor, candidate_input: Tensor, recurrent: Mask | None) -> Scan:
        layer = self.event_layers()[index]
        weight = drop(recurrent, self.arithmetic.weight(f"layers.{index}", layer.recurrent_weight))
        return Scan(
            arithmetic=self.arithmetic,
            surrogate=Surrogate(self.config.surrogate_damp, self.config.surrogate_support),
            input_sums=input_sums,
            offset=offset,
            candidate_input=candidate_input,
            recurrent=weight.flatten(0, 1).t().contiguous(),
            threshold=self.arithmetic.threshold(layer.threshold),
        )

    def __call__(self, *args: Any, **kwargs: Any) -> NetworkOutput:
        """Run `forward` with its types kept."""
        output: NetworkOutput = super().__call__(*args, **kwargs)
        return output
