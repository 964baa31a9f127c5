"""What the PLLs have in common: the result, and the choice of the best of all legal settings."""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, TypeVar

from sw_model.errors import UserError

Range = tuple[float, float]


@dataclass(frozen=True)
class Pll:
    """Settings of a PLL.

    Attributes:
        template: The template that instantiates it, under rtl_templates/.
        oscillator_mhz: The clock at its input.
        core_mhz: The clock it makes.
    """

    template: str
    oscillator_mhz: float
    core_mhz: float


Found = TypeVar("Found", bound=Pll)


def within(value: float, limits: Range) -> bool:
    """Say whether ``limits[0] <= value <= limits[1]``."""
    return limits[0] <= value <= limits[1]


def best(
    settings: Iterable[Found], oscillator_mhz: float, wanted_mhz: float, output_mhz: Range, preference: Callable[[Found], Any]
) -> Found:
    """Return the setting with the fastest clock that is not above ``wanted_mhz``.

    Args:
        settings: All that respect the primitive's other limits.
        oscillator_mhz: The clock at its input.
        wanted_mhz: The clock asked for.
        output_mhz: What the primitive's output can do.
        preference: Orders settings of the same clock; the least one is taken, of equal ones the first.

    Raises:
        UserError: When there is none.
    """
    if not within(wanted_mhz, output_mhz):
        low, high = output_mhz
        raise UserError(f"clock {wanted_mhz:g} MHz", f"is outside the PLL's {low:g} to {high:g} MHz", "ask for a clock between them")
    found = [setting for setting in settings if output_mhz[0] <= setting.core_mhz <= wanted_mhz]
    if not found:
        raise UserError(f"clock {wanted_mhz:g} MHz", f"cannot be made of {oscillator_mhz:g} MHz", "ask for another clock")
    return min(found, key=lambda setting: (-setting.core_mhz, preference(setting)))


def least_divider(vco_mhz: float, wanted_mhz: float) -> int:
    """Return the smallest divider that does not exceed the wanted clock; the margin keeps an exact quotient from being rounded up."""
    return math.ceil(vco_mhz / wanted_mhz - 1e-9)
