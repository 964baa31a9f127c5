"""Boards: a folder under boards/ with board.toml, constraints and the template of the top. Adding a board is adding a folder."""

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated

from pydantic import Field

from hls_gen.ecp5_pll import PllSettings, pll_settings
from hls_gen.render import render
from sw_model.errors import UserError
from sw_model.strict_toml import StrictModel, read_toml, validate

#: Beside the packages, in a checkout and in an installation alike.
BOARDS_FOLDER = Path(__file__).resolve().parent.parent / "boards"
BOARD_FILE = "board.toml"
TOP_MODULE = "egru_board"
MIN_CLOCKS_PER_BIT = 8
MAX_BAUD_ERROR = 0.02  # half of what a receiver that samples the middle of 10 bits bears: the other half is the host's

Positive = Annotated[int, Field(gt=0)]
PositiveReal = Annotated[float, Field(gt=0)]
Name = Annotated[str, Field(min_length=1)]


class Toolchain(StrEnum):
    """The flow that builds for a board."""

    ECP5 = "ecp5"


class ClockSection(StrictModel):
    """Clocks in MHz: the board's oscillator, and the core's unless another is asked for."""

    oscillator_mhz: PositiveReal
    core_mhz: PositiveReal


class UartSection(StrictModel):
    """The host link: 8N1 at ``baud``."""

    baud: Positive


class Budget(StrictModel):
    """What the part holds: 4-input tables, flip-flops, 18-kbit block RAMs, 18x18 multipliers."""

    lut4: Positive
    ff: Positive
    bram: Positive
    dsp: Positive


class Board(StrictModel):
    """One board, as its board.toml describes it.

    Attributes:
        name: The name of its folder.
        title: For people.
        toolchain: The flow that builds for it.
        part: The part number.
        constraints: File name of the pin constraints, in the folder.
        top: File name of the top's template, in the folder.
        place_and_route_flags: Device options of the place-and-route tool.
        bitstream_flags: Options of the bitstream tool.
        clock: Oscillator and default core clock.
        uart: Host link.
        budget: What the part holds.
        folder: Where the files are; not a key of board.toml.
    """

    name: Name
    title: Name
    toolchain: Toolchain
    part: Name
    constraints: Name
    top: Name
    place_and_route_flags: tuple[str, ...]
    bitstream_flags: tuple[str, ...] = ()
    clock: ClockSection
    uart: UartSection
    budget: Budget
    folder: Path

    @property
    def constraints_path(self) -> Path:
        """The pin constraints."""
        return self.folder / self.constraints


@dataclass(frozen=True)
class BoardTop:
    """The rendered top of a board.

    Attributes:
        text: SystemVerilog of the module `egru_board`, which instantiates `egru_top`.
        core_mhz: The clock that the PLL makes.
    """

    text: str
    core_mhz: float


def known_boards(root: Path = BOARDS_FOLDER) -> list[str]:
    """Return the names of all boards, sorted."""
    return sorted(path.parent.name for path in root.glob(f"*/{BOARD_FILE}"))


def load_board(name: str, root: Path = BOARDS_FOLDER) -> Board:
    """Load a board.

    Raises:
        UserError: When there is no such board (the known ones are listed), or its board.toml is wrong.
    """
    known = known_boards(root)
    if name not in known:
        raise UserError(f"board '{name}'", "is not known", f"known boards: {', '.join(known) or 'none'}")
    path = root / name / BOARD_FILE
    data = read_toml(path)
    if "folder" in data:
        raise UserError(f"key 'folder' in {path}", "is not known", "remove it: the folder is where the file lies")
    board = validate({**data, "folder": str(path.parent)}, Board, str(path))
    if board.name != name:
        raise UserError(f"key 'name' = '{board.name}' in {path}", "is not the folder's name", f"write '{name}'")
    for file in (board.constraints, board.top):
        if not (board.folder / file).is_file():
            raise UserError(f"file {file} named in {path}", "does not exist", f"put it in {board.folder}")
    return board


def clocks_per_bit(core_mhz: float, baud: int) -> int:
    """Return the core clocks that one bit on the serial line takes.

    Raises:
        UserError: When the clock is too slow for the baud rate, or cannot be divided to within 2 % of it.
    """
    exact = core_mhz * 1e6 / baud
    clocks = round(exact)
    if clocks < MIN_CLOCKS_PER_BIT:
        slowest = MIN_CLOCKS_PER_BIT * baud / 1e6
        raise UserError(f"clock {core_mhz:g} MHz", f"is too slow for {baud} baud", f"use {slowest:g} MHz or more, or a lower baud rate")
    if abs(clocks - exact) > MAX_BAUD_ERROR * exact:
        raise UserError(f"baud={baud}", f"cannot be made of {core_mhz:g} MHz to within 2 %", "use a clock that is a multiple of it")
    return clocks


def render_top(board: Board, core_mhz: float | None = None) -> BoardTop:
    """Render the board's top for a core clock.

    Args:
        board: The board.
        core_mhz: The clock asked for; None for the board's default. The PLL makes the nearest one that is not above it.

    Raises:
        UserError: When the PLL or the serial line cannot be run at it.
    """
    pll = _pll(board, board.clock.core_mhz if core_mhz is None else core_mhz)
    text = render(
        board.top,
        board.folder,
        oscillator_mhz=board.clock.oscillator_mhz,
        pll=pll,
        baud=board.uart.baud,
        clocks_per_bit=clocks_per_bit(pll.core_mhz, board.uart.baud),
    )
    return BoardTop(text, pll.core_mhz)


def _pll(board: Board, core_mhz: float) -> PllSettings:
    match board.toolchain:
        case Toolchain.ECP5:
            return pll_settings(board.clock.oscillator_mhz, core_mhz)
