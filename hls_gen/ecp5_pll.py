"""Dividers of the ECP5's PLL (EHXPLLL): feedback from CLKOP, the core's clock from CLKOS.

With the feedback on an output of its own, the core's divider is free, and clocks like 80 MHz come out of 25 MHz exactly.
"""

import math
from dataclasses import dataclass
from itertools import product

from sw_model.errors import UserError

# Limits of the family data sheet, in MHz.
PHASE_DETECTOR_MHZ = (10.0, 400.0)
VCO_MHZ = (400.0, 800.0)
OUTPUT_MHZ = (3.125, 400.0)
MAX_DIVIDER = 128
FEEDBACK_OUTPUT_DIVIDER = 2  # brings every VCO clock under the limit of an output


@dataclass(frozen=True)
class PllSettings:
    """Dividers and the clocks they make.

    Attributes:
        reference_divider: CLKI_DIV.
        feedback_divider: CLKFB_DIV.
        feedback_output_divider: CLKOP_DIV.
        core_divider: CLKOS_DIV.
        vco_mhz: The oscillator inside the PLL.
        feedback_mhz: The clock on CLKOP.
        core_mhz: The clock on CLKOS.
    """

    reference_divider: int
    feedback_divider: int
    feedback_output_divider: int
    core_divider: int
    vco_mhz: float
    feedback_mhz: float
    core_mhz: float


def pll_settings(oscillator_mhz: float, wanted_mhz: float) -> PllSettings:
    """Find the clock nearest to ``wanted_mhz`` that is not above it.

    Args:
        oscillator_mhz: The clock at CLKI.
        wanted_mhz: The core's clock asked for.

    Returns:
        The settings; among equally near ones those with the fastest phase detector (least jitter), then the VCO nearest to its middle.

    Raises:
        UserError: When no setting reaches the clock.
    """
    low, high = OUTPUT_MHZ
    if not low <= wanted_mhz <= high:
        raise UserError(f"clock {wanted_mhz:g} MHz", f"is outside the PLL's {low:g} to {high:g} MHz", "ask for a clock between them")
    found = [setting for setting in _legal_settings(oscillator_mhz, wanted_mhz) if setting.core_mhz >= low]
    if not found:
        raise UserError(f"clock {wanted_mhz:g} MHz", f"cannot be made of {oscillator_mhz:g} MHz", "ask for another clock")
    middle = sum(VCO_MHZ) / 2
    return min(found, key=lambda s: (-s.core_mhz, s.reference_divider, abs(s.vco_mhz - middle)))


def _legal_settings(oscillator_mhz: float, wanted_mhz: float) -> list[PllSettings]:
    settings = []
    for reference, feedback in product(range(1, MAX_DIVIDER + 1), repeat=2):
        phase_detector = oscillator_mhz / reference
        vco = phase_detector * feedback * FEEDBACK_OUTPUT_DIVIDER
        if not (PHASE_DETECTOR_MHZ[0] <= phase_detector <= PHASE_DETECTOR_MHZ[1] and VCO_MHZ[0] <= vco <= VCO_MHZ[1]):
            continue
        # The smallest divider that does not exceed the wanted clock; the margin keeps an exact quotient from being rounded up.
        core = math.ceil(vco / wanted_mhz - 1e-9)
        if core <= MAX_DIVIDER:
            settings.append(
                PllSettings(reference, feedback, FEEDBACK_OUTPUT_DIVIDER, core, vco, vco / FEEDBACK_OUTPUT_DIVIDER, round(vco / core, 6))
            )
    return settings
