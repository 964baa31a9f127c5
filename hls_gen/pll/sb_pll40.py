"""The iCE40's PLL (SB_PLL40_PAD) with simple feedback: the oscillator's pin is the PLL's own pad."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

from hls_gen.pll.settings import Pll, best, within

# Limits of the family data sheet (Lattice FPGA-DS-02008), in MHz.
INPUT_MHZ = (10.0, 133.0)
PHASE_DETECTOR_MHZ = (10.0, 133.0)
VCO_MHZ = (533.0, 1066.0)
OUTPUT_MHZ = (16.0, 275.0)
DIVR_COUNT, DIVF_COUNT, DIVQ_RANGE = 16, 128, range(1, 7)
# The loop filter for phase detectors below each clock, in MHz (Lattice FPGA-TN-02052); above the last: 6.
FILTER_RANGES = ((17.0, 1), (26.0, 2), (44.0, 3), (66.0, 4), (101.0, 5))
FASTEST_FILTER_RANGE = 6


@dataclass(frozen=True, kw_only=True)
class SbPll40(Pll):
    """Parameters of the primitive and the clock inside it: core = oscillator ÷ (divr + 1) × (divf + 1) ÷ 2^divq.

    Attributes:
        divr: DIVR.
        divf: DIVF.
        divq: DIVQ.
        filter_range: FILTER_RANGE.
        vco_mhz: The oscillator inside the PLL.
    """

    divr: int
    divf: int
    divq: int
    filter_range: int
    vco_mhz: float


def find(oscillator_mhz: float, wanted_mhz: float) -> SbPll40:
    """Find the settings; see `hls_gen.pll.find_pll`. Of equally near ones it takes those with the smallest dividers, as icepll does."""
    return best(_legal(oscillator_mhz), oscillator_mhz, wanted_mhz, OUTPUT_MHZ, lambda s: (s.divr, s.divf, s.divq))


def filter_range(phase_detector_mhz: float) -> int:
    """Return FILTER_RANGE for a clock of the phase detector."""
    return next((number for limit, number in FILTER_RANGES if phase_detector_mhz < limit), FASTEST_FILTER_RANGE)


def _legal(oscillator_mhz: float) -> Iterator[SbPll40]:
    if not within(oscillator_mhz, INPUT_MHZ):
        return
    for divr, divf, divq in product(range(DIVR_COUNT), range(DIVF_COUNT), DIVQ_RANGE):
        phase_detector = oscillator_mhz / (divr + 1)
        vco = phase_detector * (divf + 1)
        if within(phase_detector, PHASE_DETECTOR_MHZ) and within(vco, VCO_MHZ):
            yield SbPll40(
                template="pll/sb_pll40_pad.sv.j2",
                oscillator_mhz=oscillator_mhz,
                core_mhz=round(vco / 2**divq, 6),
                divr=divr,
                divf=divf,
                divq=divq,
                filter_range=filter_range(phase_detector),
                vco_mhz=vco,
            )
