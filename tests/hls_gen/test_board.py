import re
import shutil
from pathlib import Path

import pytest

from hls_gen.board import BOARDS_FOLDER, clocks_per_bit, known_boards, load_board, render_top
from hls_gen.ecp5_pll import pll_settings
from sw_model.errors import UserError

BOARD = "ulx3s_85f"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A copy of the boards that a test may spoil."""
    shutil.copytree(BOARDS_FOLDER, tmp_path / "boards")
    return tmp_path / "boards"


def replace(root: Path, old: str, new: str) -> Path:
    path = root / BOARD / "board.toml"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    return path


@pytest.mark.parametrize("name", known_boards())
def test_every_board_loads_and_renders(name: str) -> None:
    board = load_board(name)
    top = render_top(board)
    assert 0 < top.core_mhz <= board.clock.core_mhz
    assert "module egru_board" in top.text
    assert "{{" not in top.text


def test_the_ulx3s_is_known() -> None:
    board = load_board(BOARD)
    assert (board.budget.lut4, board.budget.bram, board.budget.dsp) == (83640, 208, 156)


def test_every_port_of_the_top_has_its_pin() -> None:
    board = load_board(BOARD)
    ports = set()
    for bits, name in re.findall(r"(?:input|output) +logic +(?:\[(\d+):0\] )?(\w+)", render_top(board).text):
        ports |= {f"{name}[{bit}]" for bit in range(int(bits) + 1)} if bits else {name}
    pins = re.findall(r'LOCATE COMP "([^"]+)" SITE "([A-Z]\d+)"', board.constraints_path.read_text())
    assert {name for name, _ in pins} == ports
    assert len({site for _, site in pins}) == len(pins)


def test_an_added_folder_is_an_added_board(root: Path) -> None:
    shutil.copytree(root / BOARD, root / "other")
    path = root / "other" / "board.toml"
    path.write_text(path.read_text().replace(f'name = "{BOARD}"', 'name = "other"'))
    assert known_boards(root) == ["other", BOARD]
    assert load_board("other", root).name == "other"


def test_an_unknown_board_lists_the_known_ones() -> None:
    with pytest.raises(UserError, match=r"^board 'ulx4s' is not known; known boards: .*ulx3s_85f"):
        load_board("ulx4s")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("lut4 =", "lut =", r"key 'budget\.lut' in .* is not known; did you mean 'lut4'\?"),
        ("baud = 1_000_000", 'baud = "fast"', r"key 'uart\.baud' = 'fast' in .* is not accepted"),
        ("dsp = 156", "dsp = 0", r"key 'budget\.dsp' = 0 in .* is not accepted"),
        ('toolchain = "ecp5"', 'toolchain = "ecp6"', r"key 'toolchain' = 'ecp6' in .* is not accepted: input should be 'ecp5'"),
        ('part = "LFE5U-85F-6BG381C"\n', "", r"key 'part' in .* is missing; add it"),
        (f'name = "{BOARD}"', 'name = "else"', r"key 'name' = 'else' in .* is not the folder's name; write 'ulx3s_85f'"),
        ("ulx3s.lpf", "absent.lpf", r"file absent\.lpf named in .* does not exist"),
        ('name = "', 'folder = "x"\nname = "', r"key 'folder' in .* is not known"),
    ],
)
def test_a_wrong_board_file_is_named_with_key_and_remedy(root: Path, old: str, new: str, message: str) -> None:
    replace(root, old, new)
    with pytest.raises(UserError, match=message):
        load_board(BOARD, root)


@pytest.mark.parametrize("wanted", [25, 50, 60, 62.5, 66.7, 70, 75, 80, 85, 90, 100, 125])
def test_pll_dividers_make_the_stated_clock_within_every_limit(wanted: float) -> None:
    pll = pll_settings(25.0, wanted)
    phase_detector = 25.0 / pll.reference_divider
    vco = phase_detector * pll.feedback_divider * pll.feedback_output_divider
    assert 10 <= phase_detector <= 400
    assert 400 <= vco <= 800
    assert vco == pll.vco_mhz
    assert vco / pll.feedback_output_divider == pll.feedback_mhz <= 400
    assert round(vco / pll.core_divider, 6) == pll.core_mhz
    assert 0.99 * wanted < pll.core_mhz <= wanted


@pytest.mark.parametrize("wanted", [50, 60, 75, 80, 90, 100])
def test_round_clocks_are_made_exactly(wanted: float) -> None:
    assert pll_settings(25.0, wanted).core_mhz == wanted


@pytest.mark.parametrize("wanted", [0, 3, 401, -5])
def test_a_clock_out_of_the_plls_range_is_refused(wanted: float) -> None:
    with pytest.raises(UserError, match="is outside the PLL's"):
        pll_settings(25.0, wanted)


def test_the_serial_line_needs_enough_and_even_clocks() -> None:
    assert clocks_per_bit(50.0, 1_000_000) == 50
    with pytest.raises(UserError, match="too slow"):
        clocks_per_bit(5.0, 1_000_000)
    with pytest.raises(UserError, match="within 2 %"):
        clocks_per_bit(8.5, 1_000_000)
