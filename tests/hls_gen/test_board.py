import dataclasses
import re
import shutil
from pathlib import Path

import pytest

from hls_gen.board import (
    BOARDS_FOLDER,
    Board,
    Family,
    Toolchain,
    UartLink,
    choose_pll,
    clocks_per_bit,
    known_boards,
    load_board,
    render_top,
)
from sw_model.errors import UserError
from sw_model.random_model import RandomModelSpec, random_model
from sw_model.readout import Readout

BOARD = "ulx3s_85f"
BOARDS = {name: load_board(name) for name in known_boards()}
UART_BOARDS = sorted(name for name, board in BOARDS.items() if isinstance(board.link, UartLink))
PORT = re.compile(r"^ +(input|output) +logic +(?:\[(\d+):0\] )? *(\w+)", re.MULTILINE)
# A pin of the top and its site, in each toolchain's language.
PINS = {
    Toolchain.ECP5: r'^LOCATE COMP "(?P<port>[^"]+)" SITE "(?P<site>\w+)"',
    Toolchain.ICE40: r"^set_io (?:-\w+ \w+ )*(?P<port>\S+) +(?P<site>\d+)$",
    Toolchain.GOWIN: r'^IO_LOC +"(?P<port>[^"]+)" +(?P<site>\d+);',
    Toolchain.VIVADO: r"^set_property.*PACKAGE_PIN (?P<site>\w+).*get_ports \{(?P<port>[^}]+)\}\]",
}


def ports(board: Board) -> dict[str, str]:
    """Bits of the top's ports, and their direction."""
    found = {}
    for direction, bits, name in PORT.findall(render_top(board).text):
        for bit in [f"{name}[{bit}]" for bit in range(int(bits) + 1)] if bits else [name]:
            found[bit] = direction
    return found


def pins(board: Board) -> list[tuple[str, str]]:
    text = board.constraints_path.read_text()
    return [(found["port"], found["site"]) for found in re.finditer(PINS[board.toolchain], text, re.MULTILINE)]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A copy of the boards that a test may spoil."""
    shutil.copytree(BOARDS_FOLDER, tmp_path / "boards")
    return tmp_path / "boards"


def replace(root: Path, old: str, new: str, folder: str = "ulx3s") -> Path:
    path = root / folder / "board.toml"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    return path


def test_the_boards_of_the_project_are_known() -> None:
    assert {"ulx3s_12f", "ulx3s_85f", "colorlight_i9", "icebreaker", "tang_nano_20k", "tang_nano_9k"} <= set(UART_BOARDS)
    assert {Toolchain.ECP5, Toolchain.ICE40, Toolchain.GOWIN} <= {BOARDS[name].toolchain for name in UART_BOARDS}


@pytest.mark.parametrize("name", UART_BOARDS)
def test_every_uart_board_renders_its_top(name: str) -> None:
    board = BOARDS[name]
    top = render_top(board)
    assert 0 < top.core_mhz <= board.clock.core_mhz
    assert "module egru_board" in top.text
    assert re.search(r"^  egru_uart_core ", top.text, re.MULTILINE)
    assert "{{" not in top.text


@pytest.mark.parametrize("name", sorted(BOARDS))
def test_every_board_has_a_readme_that_says_how_to_load_it(name: str) -> None:
    text = (BOARDS[name].folder / "README.md").read_text()
    for line in BOARDS[name].flash:
        program = line.split()[0]
        assert program in text


@pytest.mark.parametrize("name", UART_BOARDS)
def test_every_port_of_the_top_has_its_pin(name: str) -> None:
    board = BOARDS[name]
    found = pins(board)
    assert {port for port, _ in found} == set(ports(board))
    assert len({site for _, site in found}) == len(found) == len(ports(board))


@pytest.mark.parametrize("name", UART_BOARDS)
def test_the_named_pins_are_ports_of_the_right_direction(name: str) -> None:
    board = BOARDS[name]
    assert board.pins is not None
    directions = ports(board)
    assert [directions[port] for port in (board.pins.clock, board.pins.rx, board.pins.tx)] == ["input", "input", "output"]


@pytest.mark.parametrize("name", UART_BOARDS)
def test_the_constraints_state_the_source_of_the_pins(name: str) -> None:
    head = BOARDS[name].constraints_path.read_text().split("\n\n")[0]
    assert re.search(r"Source of the pinout|Digilent's reference manual|schematic", head)


def test_variants_share_everything_but_what_they_state() -> None:
    small, large = BOARDS["ulx3s_12f"], BOARDS["ulx3s_85f"]
    assert small.folder == large.folder
    assert (small.clock, small.link, small.pins, small.constraints) == (large.clock, large.link, large.pins, large.constraints)
    assert (small.part, large.part) == ("LFE5U-12F-6BG381C", "LFE5U-85F-6BG381C")
    assert (large.budget.lut, large.budget.bram, large.budget.dsp, large.budget.spram) == (83640, 208, 156, 0)
    assert small.budget.lut < large.budget.lut


def test_without_a_pll_the_core_runs_at_the_oscillators_clock() -> None:
    board = BOARDS["icebreaker"]
    assert "SB_PLL40" not in render_top(board).text
    assert choose_pll(board).core_mhz == board.clock.oscillator_mhz
    assert "SB_PLL40_PAD" in render_top(board, 24.0).text


@pytest.mark.parametrize(
    ("readout", "kept"), [(Readout("mean"), True), (Readout("last"), False), (Readout("steps"), False), (Readout("steps", 5), True)]
)
def test_logits_are_kept_where_the_read_out_needs_them(readout: Readout, kept: bool) -> None:
    model = dataclasses.replace(random_model(RandomModelSpec(hidden=(4,), features=3)), readout=readout)
    small, large = BOARDS["icebreaker"], BOARDS["ulx3s_85f"]
    assert (".LogitStore  (1)" in render_top(small.keeping_logits(model)).text) is kept
    assert ".LogitStore  (1)" in render_top(large.keeping_logits(model)).text
    assert BOARDS["pynq_z2"].keeping_logits(model) == BOARDS["pynq_z2"]
    assert small.keeping_logits(random_model(RandomModelSpec(hidden=(4,)))) == small


def test_an_added_folder_is_an_added_board(root: Path) -> None:
    shutil.copytree(root / "icebreaker", root / "other")
    replace(root, 'name = "icebreaker"', 'name = "other"', "other")
    assert known_boards(root) == sorted([*BOARDS, "other"])
    assert load_board("other", root).name == "other"


def test_an_unknown_board_lists_the_known_ones() -> None:
    with pytest.raises(UserError, match=r"^board 'ulx4s' is not known; known boards: .*ulx3s_85f"):
        load_board("ulx4s")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("lut = 83_640", "lut4 = 83_640", r"key 'budget\.lut4' in .*\(variant ulx3s_85f\) is not known; did you mean 'lut'\?"),
        ("baud = 1_000_000", 'baud = "fast"', r"key 'link\.uart\.baud' = 'fast' in .* is not accepted"),
        ("dsp = 156", "dsp = -1", r"key 'budget\.dsp' = -1 in .* is not accepted"),
        ("bram = 208", "bram = 0", r"key 'budget\.bram' = 0 in .* is not accepted"),
        ('toolchain = "ecp5"', 'toolchain = "ecp6"', r"key 'toolchain' = 'ecp6' in .* is not accepted: input should be 'ecp5'"),
        ('family = "ecp5"', 'family = "gw2a"', r"key 'family' = 'gw2a' in .* is not built by toolchain 'ecp5'; use ecp5"),
        ('part = "LFE5U-85F-6BG381C"\n', "", r"key 'part' in .* is missing; add it"),
        ('name = "ulx3s"', 'name = "else"', r"key 'name' = 'else' in .* is not the folder's name; write 'ulx3s'"),
        ("ulx3s.lpf", "absent.lpf", r"file absent\.lpf named in .* does not exist"),
        ('name = "ulx3s"', 'folder = "x"\nname = "ulx3s"', r"key 'folder' in .* is not known"),
        ('kind = "uart"', 'kind = "spi"', r"key 'link' .* is not accepted: .*'uart', 'axi-dma'"),
        ('kind = "uart"\nbaud = 1_000_000', 'kind = "axi-dma"', r"key 'top' in .* has no meaning here; remove it"),
        ('top = "top.sv.j2"\n', "", r"key 'top' in .* is missing; add it: a board with a serial line has a top"),
        ('rx = "ftdi_txd"', 'rx = "ftdi txd"', r"key 'pins\.rx' = 'ftdi txd' in .* is not accepted"),
        ("[clock]", "[vivado]\n\n[clock]", r"key 'vivado' in .* has no meaning here"),
    ],
)
def test_a_wrong_board_file_is_named_with_key_and_remedy(root: Path, old: str, new: str, message: str) -> None:
    replace(root, old, new)
    with pytest.raises(UserError, match=message):
        load_board(BOARD, root)


def test_variants_must_be_tables(root: Path) -> None:
    path = root / "icebreaker" / "board.toml"
    path.write_text("variants = 3\n" + path.read_text())
    with pytest.raises(UserError, match=r"key 'variants' in .* is no table of tables"):
        known_boards(root)


def test_a_board_without_serial_line_has_no_top() -> None:
    board = BOARDS[BOARD].model_copy(update={"top": None})
    with pytest.raises(UserError, match=r"^board ulx3s_85f has no top of its own"):
        render_top(board)


def test_a_family_without_a_pll_of_ours_keeps_the_given_clock() -> None:
    board = BOARDS[BOARD].model_copy(update={"family": Family.XCUP})
    assert choose_pll(board, board.clock.oscillator_mhz).core_mhz == board.clock.oscillator_mhz
    with pytest.raises(UserError, match="has a processor that makes the clock"):
        choose_pll(board, 50.0)


def test_the_serial_line_needs_enough_and_even_clocks() -> None:
    assert clocks_per_bit(50.0, 1_000_000) == 50
    with pytest.raises(UserError, match="too slow"):
        clocks_per_bit(5.0, 1_000_000)
    with pytest.raises(UserError, match="within 2 %"):
        clocks_per_bit(8.5, 1_000_000)
