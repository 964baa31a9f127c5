"""The ECP5's PLL (EHXPLLL): feedback from CLKOP, the core's clock from CLKOS.

With the feedback on an output of its own, the core's divider is free, and clocks like 80 MHz come out of 25 MHz exactly.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

from hls_gen.pll.settings import Pll, best, least_divider, within

# Limits of the family data sheet (Lattice FPGA-DS-02012), in MHz.
PHASE_DETECTOR_MHZ = (10.0, 400.0)
VCO_MHZ = (400.0, 800.0)
OUTPUT_MHZ = (3.125, 400.0)
MAX_DIVIDER = 128
FEEDBACK_OUTPUT_DIVIDER = 2  # brings every VCO clock under the limit of an output


@dataclass(frozen=True, kw_only=True)
class Ehxplll(Pll):
    """Dividers and the clocks they make.

    Attributes:
        reference_divider: CLKI_DIV.
        feedback_divider: CLKFB_DIV.
        feedback_output_divider: CLKOP_DIV.
        core_divider: CLKOS_DIV.
        vco_mhz: The oscillator inside the PLL.
        feedback_mhz: The clock on CLKOP.
    """

    reference_divider: int
    feedback_divider: int
    feedback_output_divider: int
    core_divider: int
    vco_mhz: float
    feedback_mhz: float


def find(oscillator_mhz: float, wanted_mhz: float) -> Ehxplll:
    """Find the settings; see `hls_gen.pll.find_pll`.

    Of equally near ones it takes those with the fastest phase detector (least jitter), then the VCO nearest to its middle.
    """
    middle = sum(VCO_MHZ) / 2
    return best(
        _legal(oscillator_mhz, wanted_mhz), oscillator_mhz, wanted_mhz, OUTPUT_MHZ, lambda s: (s.reference_divider, abs(s.vco_mhz - middle))
    )


def _legal(oscillator_mhz: float, wanted_mhz: float) -> Iterator[Ehxplll]:
    for reference, feedback in product(range(1, MAX_DIVIDER + 1), repeat=2):
        phase_detector = oscillator_mhz / reference
        vco = phase_detector * feedback * FEEDBACK_OUTPUT_DIVIDER
        if not (within(phase_detector, PHASE_DETECTOR_MHZ) and within(vco, VCO_MHZ)):
            continue
        core = least_divider(vco, wanted_mhz)
        if core <= MAX_DIVIDER:
            yield Ehxplll(
                template="pll/ehxplll.sv.j2",
                oscillator_mhz=oscillator_mhz,
                core_mhz=round(vco / core, 6),
                reference_divider=reference,
                feedback_divider=feedback,
                feedback_output_divider=FEEDBACK_OUTPUT_DIVIDER,
                core_divider=core,
                vco_mhz=vco,
                feedback_mhz=vco / FEEDBACK_OUTPUT_DIVIDER,
            )
