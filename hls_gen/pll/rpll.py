"""Gowin's PLL (rPLL) with its internal feedback from CLKOUT."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

from hls_gen.pll.settings import Pll, Range, best, within

DIVIDERS = range(64)
OUTPUT_DIVIDERS = (2, 4, 8, 16, 32, 48, 64, 80, 96, 112, 128)


@dataclass(frozen=True)
class Limits:
    """Limits of a part, in MHz."""

    phase_detector_mhz: Range
    vco_mhz: Range
    output_mhz: Range


# Data sheets Gowin DS117 (GW1NR, speed grade C6/I5) and DS226 (GW2AR, C8/I7).
LIMITS = {
    "GW1NR-9C": Limits((3.0, 400.0), (400.0, 1200.0), (3.125, 600.0)),
    "GW2AR-18C": Limits((3.0, 500.0), (500.0, 1250.0), (3.90625, 625.0)),
}


@dataclass(frozen=True, kw_only=True)
class RPll(Pll):
    """Parameters of the primitive: core = oscillator × (fbdiv_sel + 1) ÷ (idiv_sel + 1).

    Attributes:
        device: DEVICE.
        idiv_sel: IDIV_SEL.
        fbdiv_sel: FBDIV_SEL.
        odiv_sel: ODIV_SEL: the VCO runs that many times faster than the output.
        vco_mhz: The oscillator inside the PLL.
    """

    device: str
    idiv_sel: int
    fbdiv_sel: int
    odiv_sel: int
    vco_mhz: float


def find(device: str, oscillator_mhz: float, wanted_mhz: float) -> RPll:
    """Find the settings; see `hls_gen.pll.find_pll`. Of equally near ones it takes those with the smallest dividers, as gowin_pll does."""
    limits = LIMITS[device]
    return best(
        _legal(device, limits, oscillator_mhz),
        oscillator_mhz,
        wanted_mhz,
        limits.output_mhz,
        lambda s: (s.idiv_sel, s.fbdiv_sel, s.odiv_sel),
    )


def _legal(device: str, limits: Limits, oscillator_mhz: float) -> Iterator[RPll]:
    for idiv, fbdiv, odiv in product(DIVIDERS, DIVIDERS, OUTPUT_DIVIDERS):
        phase_detector = oscillator_mhz / (idiv + 1)
        core = phase_detector * (fbdiv + 1)
        if within(phase_detector, limits.phase_detector_mhz) and within(core * odiv, limits.vco_mhz):
            yield RPll(
                template="pll/rpll.sv.j2",
                oscillator_mhz=oscillator_mhz,
                core_mhz=round(core, 6),
                device=device,
                idiv_sel=idiv,
                fbdiv_sel=fbdiv,
                odiv_sel=odiv,
                vco_mhz=round(core * odiv, 6),
            )
