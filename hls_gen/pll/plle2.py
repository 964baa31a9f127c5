"""The PLL of AMD's 7 series (PLLE2_BASE), with the limits of the slowest speed grade."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

from hls_gen.pll.settings import Pll, best, least_divider, within

# Limits of the Artix-7 data sheet (DS181), speed grade -1, in MHz; the output's upper limit is that of a global clock buffer.
PHASE_DETECTOR_MHZ = (19.0, 450.0)
VCO_MHZ = (800.0, 1600.0)
OUTPUT_MHZ = (6.25, 464.0)
REFERENCE_DIVIDERS, MULTIPLIERS, MAX_OUTPUT_DIVIDER = range(1, 57), range(2, 65), 128


@dataclass(frozen=True, kw_only=True)
class Plle2(Pll):
    """Parameters of the primitive: core = oscillator ÷ reference_divider × multiplier ÷ core_divider.

    Attributes:
        reference_divider: DIVCLK_DIVIDE.
        multiplier: CLKFBOUT_MULT.
        core_divider: CLKOUT0_DIVIDE.
        period_ns: CLKIN1_PERIOD.
        vco_mhz: The oscillator inside the PLL.
    """

    reference_divider: int
    multiplier: int
    core_divider: int
    period_ns: float
    vco_mhz: float


def find(oscillator_mhz: float, wanted_mhz: float) -> Plle2:
    """Find the settings; see `hls_gen.pll.find_pll`.

    Of equally near ones it takes those with the fastest phase detector, then the fastest VCO: both lessen the jitter.
    """
    return best(_legal(oscillator_mhz, wanted_mhz), oscillator_mhz, wanted_mhz, OUTPUT_MHZ, lambda s: (s.reference_divider, -s.vco_mhz))


def _legal(oscillator_mhz: float, wanted_mhz: float) -> Iterator[Plle2]:
    for reference, multiplier in product(REFERENCE_DIVIDERS, MULTIPLIERS):
        phase_detector = oscillator_mhz / reference
        vco = phase_detector * multiplier
        if not (within(phase_detector, PHASE_DETECTOR_MHZ) and within(vco, VCO_MHZ)):
            continue
        core = least_divider(vco, wanted_mhz)
        if core <= MAX_OUTPUT_DIVIDER:
            yield Plle2(
                template="pll/plle2_base.sv.j2",
                oscillator_mhz=oscillator_mhz,
                core_mhz=round(vco / core, 6),
                reference_divider=reference,
                multiplier=multiplier,
                core_divider=core,
                period_ns=round(1e3 / oscillator_mhz, 3),
                vco_mhz=round(vco, 6),
            )
