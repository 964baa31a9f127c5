"""The fake-quantised network: Brevitas quantisers with power-of-two scales and this project's rounding.

`QuantizedArithmetic` is the `Arithmetic` of a network in quantisation-aware training. In float64 and eval mode every value it makes is an
exact multiple of its format's step, so the network equals `sw_model.reference` bit for bit (tests/sw_model/test_equivalence.py). In
float32, as trained, products wider than 24 bits may be off by one unit before rounding; no exported value depends on them.
"""

from typing import Any

import numpy as np
import torch
from brevitas.core.function_wrapper import Identity, TensorClampSte
from brevitas.core.quant import IntQuant
from pydantic import Field, model_validator
from torch import Tensor, nn
from torch.autograd import Function

from sw_model.errors import UserError
from sw_model.event_gru import Arithmetic, EventNetwork
from sw_model.fixed_point import SIGMOID_FRAC, TABLE_ADDRESS_BITS, TABLE_SIZE, TANH_FRAC, Formats, round_half_up, symmetric_limit
from sw_model.strict_toml import StrictModel

TOKEN_WEIGHT_BITS = 8
DECODER_BIAS_BITS = 24
MIN_EXPONENT, MAX_EXPONENT = -8, 24


class QuantizationConfig(StrictModel):
    """Widths of a quantised network (docs/semantics.md, section 1).

    Attributes:
        weight_bits: Bits of W and R, 2 to 8.
        decoder_bits: Bits of the decoder's weights, 2 to 8.
        event_bits: See `Formats`; so are the four below.
    """

    weight_bits: int = Field(default=8, ge=2, le=8)
    decoder_bits: int = Field(default=8, ge=2, le=8)
    event_bits: int = Formats.event_bits
    state_bits: int = Formats.state_bits
    gate_bits: int = Formats.gate_bits
    preact_bits: int = Formats.preact_bits
    preact_frac: int = Formats.preact_frac

    @model_validator(mode="after")
    def _check_formats(self) -> "QuantizationConfig":
        try:
            self.formats()
        except UserError as error:
            raise ValueError(str(error)) from error
        return self

    def formats(self) -> Formats:
        """Return the widths as the fixed-point module knows them."""
        return Formats(self.event_bits, self.state_bits, self.gate_bits, self.preact_bits, self.preact_frac)


class _RoundHalfUp(Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        result: Tensor = round_half_up(x)
        return result

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Tensor:
        return grads[0]


class RoundHalfUp(nn.Module):
    """`fixed_point.round_half_up` as a Brevitas float_to_int_impl, with a straight-through gradient."""

    def forward(self, x: Tensor) -> Tensor:
        """Round ``x`` of any shape."""
        result: Tensor = _RoundHalfUp.apply(x) if torch.is_grad_enabled() else round_half_up(x)  # type: ignore[no-untyped-call]
        return result


class FixedPointQuant(nn.Module):
    """Brevitas' IntQuant with a constant power-of-two scale and width, saturation and rounding straight through in the gradient."""

    def __init__(self, bits: int, frac: int, *, signed: bool = True, narrow_range: bool = False) -> None:
        """Make a quantiser.

        Args:
            bits: Width of the integer.
            frac: Its fraction bits.
            signed: Two's complement, or unsigned.
            narrow_range: Leave out the most negative integer.
        """
        super().__init__()
        self.frac = frac
        self.int_quant = IntQuant(
            narrow_range=narrow_range,
            signed=signed,
            input_view_impl=Identity(),
            float_to_int_impl=RoundHalfUp(),
            tensor_clamp_impl=TensorClampSte(),
        )
        self.bits = bits

    def _constants(self, like: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        # Filled on the tensor's device: a copy from the host could not be part of a CUDA graph.
        return like.new_full((), 2.0**-self.frac), like.new_zeros(()), like.new_full((), float(self.bits))

    def to_int(self, x: Tensor) -> Tensor:
        """Return the integers that stand for ``x``, in the floating type of ``x``."""
        result: Tensor = self.int_quant.to_int(*self._constants(x), x)
        return result

    def forward(self, x: Tensor) -> Tensor:
        """Return the nearest values of the format."""
        result: Tensor = self.int_quant(*self._constants(x), x)
        return result


class LoopQuant(FixedPointQuant):
    """`FixedPointQuant` for the inside of the time loop, where the gradient is written by hand.

    IntQuant spends most of its time on tensors of one element (limits, scale, zero point). Without a tape the same function needs four
    operations; a test compares the two.
    """

    def __init__(self, bits: int, frac: int, *, signed: bool = True) -> None:
        """Make a quantiser; arguments as for `FixedPointQuant`."""
        super().__init__(bits, frac, signed=signed)
        width = torch.tensor(float(bits))
        self._low, self._high = float(self.int_quant.min_int(width)), float(self.int_quant.max_int(width))
        self._step = 2.0**-frac

    def to_int(self, x: Tensor) -> Tensor:
        """Return the integers that stand for ``x``."""
        if torch.is_grad_enabled():
            return super().to_int(x)
        result: Tensor = round_half_up(x * (1.0 / self._step)).clamp_(self._low, self._high)
        return result

    def forward(self, x: Tensor) -> Tensor:
        """Return the nearest values of the format."""
        if torch.is_grad_enabled():
            return super().forward(x)
        return self.to_int(x).mul_(self._step)


class WeightQuant(nn.Module):
    """Symmetric weights of one group with one power-of-two scale, chosen once by least squared error."""

    def __init__(self, bits: int) -> None:
        """Make a quantiser that must be calibrated before use."""
        super().__init__()
        self.bits = bits
        self.quant: FixedPointQuant | None = None

    @property
    def frac(self) -> int:
        """Fraction bits of the weights.

        Raises:
            UserError: When the group has not been calibrated.
        """
        return self._calibrated().frac

    def set_frac(self, frac: int) -> None:
        """Fix the scale at 2**-frac."""
        self.quant = FixedPointQuant(self.bits, frac, narrow_range=True)

    def calibrate(self, weights: list[Tensor]) -> None:
        """Choose the exponent of least squared error over all ``weights``; on a tie the finest step that the range allows."""
        values = torch.cat([w.detach().flatten() for w in weights]).double()
        values = values[values != 0]
        limit = symmetric_limit(self.bits)
        errors = []
        for frac in range(MIN_EXPONENT, MAX_EXPONENT + 1):
            quantised = round_half_up(values * 2.0**frac).clamp_(-limit, limit) * 2.0**-frac
            errors.append(float(((quantised - values) ** 2).sum()))
        self.set_frac(MIN_EXPONENT + int(np.argmin(errors)))

    def forward(self, weight: Tensor) -> Tensor:
        """Return the nearest representable weights."""
        result: Tensor = self._calibrated()(weight)
        return result

    def to_int(self, weight: Tensor) -> Tensor:
        """Return the integers that stand for ``weight``."""
        return self._calibrated().to_int(weight)

    def _calibrated(self) -> FixedPointQuant:
        if self.quant is None:
            raise UserError("a weight quantiser", "has not been calibrated", "run a QAT phase, or calibrate the network, first")
        return self.quant


class _Lookup(Function):
    @staticmethod
    def forward(ctx: Any, a: Tensor, values: Tensor, slope: Any) -> Tensor:
        ctx.save_for_backward(values)
        ctx.slope = slope
        return values

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None]:
        (values,) = ctx.saved_tensors
        return ctx.slope(grads[0], values), None, None


class TableFunction(nn.Module):
    """σ or tanh by an integer table (docs/semantics.md, section 3); its gradient is the true function's, expressed by the value."""

    table: Tensor

    def __init__(self, table: np.ndarray, argument_frac: int, value_frac: int, slope: Any) -> None:
        """Make a table.

        Args:
            table: int, shape (1024,).
            argument_frac: Fraction bits of an address.
            value_frac: Fraction bits of an entry.
            slope: Takes the incoming gradient and the value, returns the outgoing gradient.
        """
        super().__init__()
        self.register_buffer("table", torch.tensor(table * 2.0**-value_frac, dtype=torch.float32), persistent=False)
        self._address = LoopQuant(TABLE_ADDRESS_BITS, argument_frac)
        self._slope = slope

    def forward(self, a: Tensor) -> Tensor:
        """Return the table's value at ``a``, any shape."""
        with torch.no_grad():
            address = self._address.to_int(a).add_(TABLE_SIZE // 2).to(torch.int32)
            values = self.table.index_select(0, address.flatten()).view(a.shape)
        if not torch.is_grad_enabled():
            return values
        result: Tensor = _Lookup.apply(a, values, self._slope)  # type: ignore[no-untyped-call]
        return result


class QuantizedArithmetic(Arithmetic):
    """Rounds and saturates as docs/semantics.md says."""

    def __init__(self, config: QuantizationConfig, layers: int, *, features: bool = False) -> None:
        """Make the quantisers of a network of ``layers`` layers; `calibrate` or `set_exponents` makes them usable.

        Args:
            config: Widths.
            layers: How many.
            features: Whether the network reads features: it has no embedding.
        """
        super().__init__()
        formats = config.formats()
        self.config = config
        self.formats = formats
        bits = {} if features else {"embedding": TOKEN_WEIGHT_BITS, "input": TOKEN_WEIGHT_BITS}
        bits |= {"decoder": config.decoder_bits}
        bits |= {f"layers.{index}": config.weight_bits for index in range(layers)}
        self.weights = {group: WeightQuant(width) for group, width in bits.items()}
        self._preactivation = LoopQuant(formats.preact_bits, formats.preact_frac)
        # A difference of two states needs one bit more than a state; it never saturates.
        self._state = LoopQuant(formats.state_bits + 1, formats.state_frac)
        self._event = LoopQuant(formats.event_bits, formats.event_bits, signed=False)
        self._threshold = FixedPointQuant(formats.state_frac, formats.state_frac, signed=False)
        self._sigmoid = TableFunction(formats.sigmoid_table(), SIGMOID_FRAC, formats.gate_bits, torch.ops.aten.sigmoid_backward)
        self._tanh = TableFunction(formats.tanh_table(), TANH_FRAC, formats.gate_bits, torch.ops.aten.tanh_backward)

    def calibrate(self, network: EventNetwork) -> None:
        """Choose the exponent of every group from the weights of ``network``."""
        for group, tensors in network.matrices().items():
            self.weights[group].calibrate(tensors)

    @property
    def exponents(self) -> dict[str, int]:
        """Fraction bits of every group."""
        return {group: quant.frac for group, quant in self.weights.items()}

    def set_exponents(self, exponents: dict[str, int]) -> None:
        """Fix the scales of all groups.

        Raises:
            UserError: When a group is missing, unknown or outside the legal exponents.
        """
        for group in sorted(exponents.keys() ^ self.weights.keys()):
            raise UserError(f"exponent of {group}", "is missing or belongs to no weight", "train the checkpoint again")
        for group, frac in exponents.items():
            if not MIN_EXPONENT <= frac <= MAX_EXPONENT:
                raise UserError(f"exponent of {group}={frac}", f"is outside {MIN_EXPONENT} to {MAX_EXPONENT}", "train the checkpoint again")
            self.weights[group].set_frac(frac)

    def weight(self, group: str, weight: Tensor) -> Tensor:
        """Quantise weights with the exponent of their group."""
        result: Tensor = self.weights[group](weight)
        return result

    def decoder_bias_quant(self) -> FixedPointQuant:
        """Return the quantiser of the decoder's bias: an integer at the accumulator's scale."""
        return FixedPointQuant(DECODER_BIAS_BITS, self.weights["decoder"].frac + self.formats.event_bits)

    def decoder_bias(self, bias: Tensor) -> Tensor:
        """Quantise the decoder's bias."""
        result: Tensor = self.decoder_bias_quant()(bias)
        return result

    def preactivation(self, x: Tensor) -> Tensor:
        """Round and saturate to the pre-activation format."""
        result: Tensor = self._preactivation(x)
        return result

    def preactivation_int(self, x: Tensor) -> Tensor:
        """Return the pre-activation integers of a bias."""
        return self._preactivation.to_int(x)

    def sigmoid(self, a: Tensor) -> Tensor:
        """Look σ up."""
        result: Tensor = self._sigmoid(a)
        return result

    def tanh(self, a: Tensor) -> Tensor:
        """Look tanh up."""
        result: Tensor = self._tanh(a)
        return result

    def state(self, c: Tensor) -> Tensor:
        """Round to the state's step."""
        result: Tensor = self._state(c)
        return result

    def threshold(self, theta: Tensor) -> Tensor:
        """Round θ to the state's step, at most the largest state."""
        result: Tensor = self._threshold(theta)
        return result

    def threshold_int(self, theta: Tensor) -> Tensor:
        """Return the integers of θ."""
        return self._threshold.to_int(theta)

    def event(self, c_hat: Tensor) -> Tensor:
        """Round to the event format; its largest value stands for everything above."""
        result: Tensor = self._event(c_hat)
        return result


def quantize(network: EventNetwork, config: QuantizationConfig) -> QuantizedArithmetic:
    """Give a float network the quantised arithmetic and calibrate it on its weights.

    Returns:
        The arithmetic that ``network`` now holds.
    """
    arithmetic = QuantizedArithmetic(config, len(network.config.hidden_sizes), features=network.config.channels > 0)
    arithmetic.calibrate(network)
    network.arithmetic = arithmetic
    return arithmetic
