"""Fixed-point formats and the one rounding function (docs/semantics.md, sections 1 to 3).

A value ``v`` with ``f`` fraction bits stands for ``v * 2**-f``. Everything that rounds, in training, export, reference or generator, calls
`round_half_up` (real numbers) or `rescale` (integers); they are the same function on two kinds of number.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from sw_model.errors import UserError

TABLE_ADDRESS_BITS = 10
TABLE_SIZE = 1 << TABLE_ADDRESS_BITS
SIGMOID_FRAC = 6
TANH_FRAC = 7


def round_half_up(x: Any) -> Any:
    """Round real numbers to the nearest integer, ties towards plus infinity.

    Args:
        x: A float, a numpy array or a torch tensor of any shape.

    Returns:
        ``floor(x + 1/2)`` in the same type and shape. Exact wherever ``x`` is a multiple of a power of two that the type holds.
    """
    shifted = x + 0.5
    return shifted.floor() if hasattr(shifted, "floor") else np.floor(shifted)


def rescale(v: Any, frac_from: int, frac_to: int) -> Any:
    """Move integers from ``frac_from`` to ``frac_to`` fraction bits, rounding half up when bits are lost.

    Args:
        v: An int or an int64 array of any shape.
        frac_from: Fraction bits of ``v``.
        frac_to: Fraction bits of the result.
    """
    shift = frac_from - frac_to
    if shift <= 0:
        return v << -shift
    return (v + (1 << (shift - 1))) >> shift


def saturate(v: Any, low: int, high: int) -> Any:
    """Clamp integers (an int or an array) to ``[low, high]``, ends included."""
    return np.minimum(np.maximum(v, low), high)


def signed_limits(bits: int) -> tuple[int, int]:
    """Return the smallest and largest two's complement integer of ``bits`` bits."""
    return -(1 << (bits - 1)), (1 << (bits - 1)) - 1


def symmetric_limit(bits: int) -> int:
    """Return the largest weight of ``bits`` bits; the smallest is its negative."""
    return (1 << (bits - 1)) - 1


def signed_bits(low: int, high: int) -> int:
    """Return the fewest two's complement bits that hold every integer of ``[low, high]``."""
    return max((-low - 1 if low < 0 else low).bit_length(), (-high - 1 if high < 0 else high).bit_length()) + 1


@dataclass(frozen=True)
class Formats:
    """The widths that all layers of one model share (docs/semantics.md, section 1).

    Attributes:
        event_bits: Bits ``n`` of an event's value, all of them fraction.
        state_bits: Bits ``s`` of state and threshold, one of them the sign.
        gate_bits: Fraction bits ``k`` of gates and candidate.
        preact_bits: Bits ``P`` of a pre-activation, bias or input-table entry.
        preact_frac: Fraction bits ``fp`` of the same.

    Raises:
        UserError: When a width is outside its legal range.
    """

    event_bits: int = 8
    state_bits: int = 16
    gate_bits: int = 12
    preact_bits: int = 12
    preact_frac: int = 8

    def __post_init__(self) -> None:
        """Check every width against the ranges of docs/semantics.md."""
        self._check("state_bits", 8, 16, "8 to 16")
        self._check("event_bits", 2, min(12, self.state_bits - 1), f"2 to 12 and below state_bits={self.state_bits}")
        self._check("gate_bits", 4, self.state_bits - 1, f"4 to state_bits-1={self.state_bits - 1}")
        self._check("preact_bits", 8, 18, "8 to 18")
        self._check("preact_frac", 4, self.preact_bits - 2, f"4 to preact_bits-2={self.preact_bits - 2}")

    def _check(self, name: str, low: int, high: int, rule: str) -> None:
        value = getattr(self, name)
        if not low <= value <= high:
            raise UserError(f"{name}={value}", f"is outside {rule}", f"choose {low} to {high}")

    @property
    def event_max(self) -> int:
        """Largest event value, ``2**n - 1``."""
        return (1 << self.event_bits) - 1

    @property
    def state_frac(self) -> int:
        """Fraction bits of the state, ``s - 1``."""
        return self.state_bits - 1

    @property
    def state_max(self) -> int:
        """Largest magnitude ``M`` of state and threshold."""
        return (1 << self.state_frac) - 1

    @property
    def preact_limits(self) -> tuple[int, int]:
        """Smallest and largest stored pre-activation."""
        return signed_limits(self.preact_bits)

    def sigmoid_table(self) -> np.ndarray:
        """Return σ as ``TABLE_SIZE`` integers with ``gate_bits`` fraction bits, for arguments -8 to 8."""
        top = (1 << self.gate_bits) - 1
        return _table(lambda a: 1.0 / (1.0 + math.exp(-a)), SIGMOID_FRAC, self.gate_bits, 0, top)

    def tanh_table(self) -> np.ndarray:
        """Return tanh as ``TABLE_SIZE`` integers with ``gate_bits`` fraction bits, for arguments -4 to 4."""
        top = (1 << self.gate_bits) - 1
        return _table(math.tanh, TANH_FRAC, self.gate_bits, -top, top)


def table_index(v: Any, frac: int, table_frac: int) -> Any:
    """Turn a pre-activation with ``frac`` fraction bits into an address of a table with ``table_frac``."""
    return saturate(rescale(v, frac, table_frac) + TABLE_SIZE // 2, 0, TABLE_SIZE - 1)


def _table(function: Any, argument_frac: int, value_frac: int, low: int, high: int) -> np.ndarray:
    arguments = [(i - TABLE_SIZE // 2) / (1 << argument_frac) for i in range(TABLE_SIZE)]
    values = np.array([function(a) for a in arguments]) * (1 << value_frac)
    table: np.ndarray = saturate(round_half_up(values).astype(np.int64), low, high)
    return table
