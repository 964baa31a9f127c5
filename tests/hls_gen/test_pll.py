"""PLL settings: within every limit, and as the families' own tools (yowasp-icepll, yowasp-ecppll, apycula's gowin_pll) find them."""

import re
import subprocess

import pytest

from egru.tools import require_script
from hls_gen.pll import PllFamily, ehxplll, find_pll, no_pll, plle2, rpll, sb_pll40
from sw_model.errors import UserError

GOWIN_PARTS = {PllFamily.RPLL_GW1NR_9C: "GW1NR-9 C6/I5", PllFamily.RPLL_GW2AR_18C: "GW2AR-18 C8/I7"}
FAMILIES = list(PllFamily)
OSCILLATORS = {
    PllFamily.EHXPLLL: 25.0,
    PllFamily.SB_PLL40: 12.0,
    PllFamily.RPLL_GW1NR_9C: 27.0,
    PllFamily.RPLL_GW2AR_18C: 27.0,
    PllFamily.PLLE2: 100.0,
}


def tool(*command: str) -> str:
    return subprocess.run([require_script(command[0]), *command[1:]], capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("wanted", [20.0, 26.9, 33.3, 50.0, 60.0, 75.0, 99.9])
def test_the_clock_is_near_and_never_above(family: PllFamily, wanted: float) -> None:
    pll = find_pll(family, OSCILLATORS[family], wanted)
    assert 0.85 * wanted < pll.core_mhz <= wanted
    assert pll.oscillator_mhz == OSCILLATORS[family]


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("wanted", [0.0, 2000.0, -5.0])
def test_a_clock_out_of_the_plls_range_is_refused(family: PllFamily, wanted: float) -> None:
    with pytest.raises(UserError, match=r"^clock \S+ MHz is outside the PLL's \S+ to \S+ MHz; ask for a clock between them$"):
        find_pll(family, OSCILLATORS[family], wanted)


@pytest.mark.parametrize("family", FAMILIES)
def test_an_oscillator_that_the_pll_cannot_take_is_refused(family: PllFamily) -> None:
    with pytest.raises(UserError, match=r"^clock 50 MHz cannot be made of 1 MHz; ask for another clock$"):
        find_pll(family, 1.0, 50.0)


def test_no_pll_keeps_the_clock() -> None:
    assert no_pll(12.0).core_mhz == 12.0


# ECP5


@pytest.mark.parametrize("wanted", [25, 50, 60, 62.5, 66.7, 70, 75, 80, 85, 90, 100, 125])
def test_ecp5_dividers_make_the_stated_clock_within_every_limit(wanted: float) -> None:
    pll = ehxplll.find(25.0, wanted)
    phase_detector = 25.0 / pll.reference_divider
    vco = phase_detector * pll.feedback_divider * pll.feedback_output_divider
    assert 10 <= phase_detector <= 400
    assert 400 <= vco <= 800
    assert vco == pll.vco_mhz
    assert vco / pll.feedback_output_divider == pll.feedback_mhz <= 400
    assert round(vco / pll.core_divider, 6) == pll.core_mhz
    assert 0.99 * wanted < pll.core_mhz <= wanted


@pytest.mark.parametrize("wanted", [50, 60, 75, 80, 90, 100])
def test_ecp5_round_clocks_are_made_exactly(wanted: float) -> None:
    assert ehxplll.find(25.0, wanted).core_mhz == wanted


# iCE40


@pytest.mark.parametrize("wanted", [16.5, 18.0, 21.0, 24.0, 30.0, 39.75, 48.0, 60.0])
def test_ice40_settings_are_those_of_icepll(wanted: float) -> None:
    text = tool("yowasp-icepll", "-i", "12", "-o", str(wanted))
    pll = sb_pll40.find(12.0, wanted)
    found = [
        int(value) for name in ("DIVR", "DIVF", "DIVQ", "FILTER_RANGE") for value in re.findall(rf"^{name}: +(\d+) ", text, re.MULTILINE)
    ]
    assert found == [pll.divr, pll.divf, pll.divq, pll.filter_range]
    assert re.search(rf"F_PLLOUT: +{pll.core_mhz:.3f} MHz \(achieved\)", text)
    assert 533 <= pll.vco_mhz <= 1066


def test_ice40_filter_follows_the_phase_detector() -> None:
    for oscillator in (12.0, 20.0, 30.0, 50.0, 80.0, 120.0):
        text = tool("yowasp-icepll", "-i", str(oscillator), "-o", "60")
        pll = sb_pll40.find(oscillator, 60.0)
        assert f"FILTER_RANGE: {pll.filter_range} " in text


# Gowin


@pytest.mark.parametrize("family", GOWIN_PARTS)
@pytest.mark.parametrize("wanted", [12.0, 13.5, 18.0, 27.0, 36.0, 40.5, 54.0, 63.0, 81.0, 99.0])
def test_gowin_settings_are_those_of_gowin_pll(family: PllFamily, wanted: float) -> None:
    text = tool("gowin_pll", "-i", "27", "-o", str(wanted), "-d", GOWIN_PARTS[family])
    pll = rpll.find(family, 27.0, wanted)
    assert pll.core_mhz == wanted  # a clock that both can make exactly: where it cannot be made, theirs may be above it
    found = [int(re.findall(rf"\.{name}\((\d+)\)", text)[0]) for name in ("IDIV_SEL", "FBDIV_SEL", "ODIV_SEL")]
    assert found == [pll.idiv_sel, pll.fbdiv_sel, pll.odiv_sel]


@pytest.mark.parametrize("family", GOWIN_PARTS)
def test_gowin_settings_stay_within_every_limit(family: PllFamily) -> None:
    limits = rpll.LIMITS[family]
    for wanted in range(10, 120):
        pll = rpll.find(family, 27.0, float(wanted))
        assert limits.phase_detector_mhz[0] <= 27.0 / (pll.idiv_sel + 1) <= limits.phase_detector_mhz[1]
        assert limits.vco_mhz[0] <= pll.core_mhz * pll.odiv_sel <= limits.vco_mhz[1]
        assert pll.core_mhz == round(27.0 * (pll.fbdiv_sel + 1) / (pll.idiv_sel + 1), 6)


# 7 series


@pytest.mark.parametrize("wanted", [25, 50, 66.7, 80, 100, 125])
def test_series_7_settings_make_the_stated_clock_within_every_limit(wanted: float) -> None:
    pll = plle2.find(100.0, wanted)
    assert 19 <= 100.0 / pll.reference_divider <= 450
    assert 800 <= pll.vco_mhz <= 1600
    assert pll.core_mhz == round(100.0 / pll.reference_divider * pll.multiplier / pll.core_divider, 6)
    assert pll.period_ns == 10.0
