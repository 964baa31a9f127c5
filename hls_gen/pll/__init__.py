"""PLLs of the device families: one function that finds the settings, one template each that instantiates the primitive.

A template stands inside a board's top. It takes the oscillator from the port named in board.toml and declares `clk` and `locked`.
"""

from enum import StrEnum

from hls_gen.pll import ehxplll, plle2, rpll, sb_pll40
from hls_gen.pll.settings import Pll


class PllFamily(StrEnum):
    """A primitive, and where its limits differ between parts, the part."""

    EHXPLLL = "EHXPLLL"
    SB_PLL40 = "SB_PLL40_PAD"
    RPLL_GW1NR_9C = "GW1NR-9C"
    RPLL_GW2AR_18C = "GW2AR-18C"
    PLLE2 = "PLLE2_BASE"


def no_pll(oscillator_mhz: float) -> Pll:
    """Return what stands for a PLL where the core runs at the oscillator's clock."""
    return Pll(template="pll/none.sv.j2", oscillator_mhz=oscillator_mhz, core_mhz=oscillator_mhz)


def find_pll(family: PllFamily, oscillator_mhz: float, wanted_mhz: float) -> Pll:
    """Find the settings for the clock nearest to ``wanted_mhz`` that is not above it.

    Args:
        family: The primitive.
        oscillator_mhz: The clock at its input.
        wanted_mhz: The core's clock asked for.

    Raises:
        UserError: When no setting reaches the clock.
    """
    match family:
        case PllFamily.EHXPLLL:
            return ehxplll.find(oscillator_mhz, wanted_mhz)
        case PllFamily.SB_PLL40:
            return sb_pll40.find(oscillator_mhz, wanted_mhz)
        case PllFamily.RPLL_GW1NR_9C | PllFamily.RPLL_GW2AR_18C:
            return rpll.find(family, oscillator_mhz, wanted_mhz)
        case PllFamily.PLLE2:
            return plle2.find(oscillator_mhz, wanted_mhz)
