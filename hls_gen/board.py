"""Boards: a folder under boards/ holds a product: board.toml, pin constraints, the template of the top, README.

Adding a board is adding a folder. Where a product comes with several parts, its board.toml has a table ``[variants.<board>]`` for each of
them: its keys replace those of the same name, everything else is shared.
"""

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from hls_gen.pll import PllFamily, find_pll, no_pll
from hls_gen.pll.settings import Pll
from hls_gen.render import render_board
from sw_model.errors import UserError
from sw_model.quantized_model import QuantizedModel
from sw_model.strict_toml import StrictModel, read_toml, validate

#: Beside the packages, in a checkout and in an installation alike.
BOARDS_FOLDER = Path(__file__).resolve().parent.parent / "boards"
BOARD_FILE = "board.toml"
TOP_MODULE = "egru_board"
VARIANTS = "variants"
MIN_CLOCKS_PER_BIT = 8
MAX_BAUD_ERROR = 0.02  # half of what a receiver that samples the middle of 10 bits bears: the other half is the host's

Positive = Annotated[int, Field(gt=0)]
NotNegative = Annotated[int, Field(ge=0)]
PositiveReal = Annotated[float, Field(gt=0)]
Name = Annotated[str, Field(min_length=1)]
PortName = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]
#: No path: what is written under this name stays in its folder.
FileName = Annotated[str, Field(pattern=r"^\w[\w.-]*$", max_length=100)]
BoardName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]


class Toolchain(StrEnum):
    """The flow that builds for a board."""

    ECP5 = "ecp5"
    ICE40 = "ice40"
    GOWIN = "gowin"
    VIVADO = "vivado"


class Family(StrEnum):
    """The device family: it fixes the primitives, and with them what a block RAM and a multiplier is."""

    ECP5 = "ecp5"
    ICE40UP = "ice40up"
    GW1N = "gw1n"
    GW2A = "gw2a"
    XC7 = "xc7"
    XCUP = "xcup"


FAMILIES = {
    Toolchain.ECP5: (Family.ECP5,),
    Toolchain.ICE40: (Family.ICE40UP,),
    Toolchain.GOWIN: (Family.GW1N, Family.GW2A),
    Toolchain.VIVADO: (Family.XC7, Family.XCUP),
}
PLLS = {
    Family.ECP5: PllFamily.EHXPLLL,
    Family.ICE40UP: PllFamily.SB_PLL40,
    Family.GW1N: PllFamily.RPLL_GW1NR_9C,
    Family.GW2A: PllFamily.RPLL_GW2AR_18C,
    Family.XC7: PllFamily.PLLE2,
}


class ClockSection(StrictModel):
    """Clocks in MHz: what drives the board's clock pin (of a processor board: the processor), and the core's unless another is asked for.

    Where both are the same there is no PLL.
    """

    oscillator_mhz: PositiveReal
    core_mhz: PositiveReal


class UartLink(StrictModel):
    """The host is at a serial line, 8N1 at ``baud``.

    Attributes:
        baud: Bits per second.
        logits: Keep the logits of the last step, for hosts that want all of them; costs memory.
    """

    kind: Literal["uart"]
    baud: Positive
    logits: bool = True


class AxiDmaLink(StrictModel):
    """The host is a processor on the same chip: its DMA moves the streams, its bus reaches the registers."""

    kind: Literal["axi-dma"]


Link = UartLink | AxiDmaLink


class PinsSection(StrictModel):
    """Names of the top's ports: the oscillator, the line from the host, the line to the host."""

    clock: PortName
    rx: PortName
    tx: PortName


class Budget(StrictModel):
    """What the part holds, in the family's own units.

    Attributes:
        lut: Tables: of 4 inputs for ECP5, iCE40 and Gowin, of 6 for AMD.
        ff: Flip-flops.
        bram: Block RAMs: 18 kbit for ECP5 (DP16KD), Gowin (BSRAM) and AMD (RAMB18), 4 kbit for iCE40 (EBR).
        dsp: Multipliers: 18x18 for ECP5 and Gowin, 16x16 for iCE40, DSP48 for AMD.
        spram: Single-port RAMs of 256 kbit (iCE40 UltraPlus).
    """

    lut: Positive
    ff: Positive
    bram: Positive
    dsp: NotNegative
    spram: NotNegative = 0


class VivadoSection(StrictModel):
    """What only a Vivado project knows.

    Attributes:
        processor: The processing system beside the fabric.
        board_part: Name of the vendor's board file without its version, where one is wanted: the newest one that Vivado has is taken.
        carrier: Connector of a module, and the name of the carrier board's file, likewise; none for a board of one piece.
    """

    processor: Literal["none", "zynq7", "zynqmp"] = "none"
    board_part: str = ""
    carrier: tuple[Name, Name] | None = None


class Board(StrictModel):
    """One board, as its board.toml describes it.

    Attributes:
        name: The name of its folder, or of the variant.
        title: For people.
        toolchain: The flow that builds for it.
        family: The device family.
        part: The part number.
        constraints: File name of the pin constraints, in the folder.
        top: File name of the top's template, in the folder; none where the vendor's block design is the top.
        synthesis_flags: Further options of yosys' synthesis command.
        place_and_route_flags: Device options of the place-and-route tool.
        bitstream_flags: Options of the bitstream tool.
        flash: Command lines that load the bitstream; the first one loads it until power-off.
        clock: Oscillator and default core clock.
        link: How the host talks to the core.
        pins: Ports that the simulated board drives; UART boards only.
        budget: What the part holds.
        vivado: Vivado boards only.
        folder: Where the files are; not a key of board.toml.
    """

    name: BoardName
    title: Name
    toolchain: Toolchain
    family: Family
    part: Name
    constraints: FileName
    top: FileName | None = None
    synthesis_flags: tuple[str, ...] = ()
    place_and_route_flags: tuple[str, ...] = ()
    bitstream_flags: tuple[str, ...] = ()
    flash: Annotated[tuple[Name, ...], Field(min_length=1)]
    clock: ClockSection
    link: Annotated[Link, Field(discriminator="kind")]
    pins: PinsSection | None = None
    budget: Budget
    vivado: VivadoSection | None = None
    folder: Path

    @property
    def constraints_path(self) -> Path:
        """The pin constraints."""
        return self.folder / self.constraints

    def keeping_logits(self, model: QuantizedModel) -> "Board":
        """Return the board with a link that keeps a step's logits for the host, if ``model``'s read-out cannot do without."""
        if not isinstance(self.link, UartLink) or model.readout is None or not model.readout.needs_logits:
            return self
        return self.model_copy(update={"link": self.link.model_copy(update={"logits": True})})


@dataclass(frozen=True)
class BoardTop:
    """The rendered top of a board.

    Attributes:
        text: SystemVerilog of the module `egru_board`, which instantiates `egru_uart_core`.
        core_mhz: The clock that the PLL makes.
        pll: The PLL in it.
    """

    text: str
    core_mhz: float
    pll: Pll


def known_boards(root: Path = BOARDS_FOLDER) -> list[str]:
    """Return the names of all boards, sorted."""
    return sorted(name for path in root.glob(f"*/{BOARD_FILE}") for name in _names(path))


def load_board(name: str, root: Path = BOARDS_FOLDER) -> Board:
    """Load a board.

    Raises:
        UserError: When there is no such board (the known ones are listed), or its board.toml is wrong.
    """
    path = next((path for path in sorted(root.glob(f"*/{BOARD_FILE}")) if name in _names(path)), None)
    if path is None:
        raise UserError(f"board '{name}'", "is not known", f"known boards: {', '.join(known_boards(root)) or 'none'}")
    data = read_toml(path)
    if "folder" in data:
        raise UserError(f"key 'folder' in {path}", "is not known", "remove it: the folder is where the file lies")
    if data.get("name") != path.parent.name:
        raise UserError(f"key 'name' = {data.get('name')!r} in {path}", "is not the folder's name", f"write '{path.parent.name}'")
    variants = data.pop(VARIANTS, None)
    source = str(path)
    if variants is not None:
        source = f"{path} (variant {name})"
        data = _merged(data, {**variants[name], "name": name}, source)
    board = validate({**data, "folder": str(path.parent)}, Board, source)
    _check(board, source)
    return board


def _names(path: Path) -> list[str]:
    """Return the boards that a board.toml describes: its variants, or the one of the folder's name."""
    variants = read_toml(path).get(VARIANTS)
    if variants is None:
        return [path.parent.name]
    if not isinstance(variants, dict) or not variants or not all(isinstance(table, dict) for table in variants.values()):
        raise UserError(
            f"key '{VARIANTS}' in {path}", "is no table of tables", f"write [{VARIANTS}.<board>] for each board, or leave it out"
        )
    return list(variants)


def _merged(base: dict[str, Any], changes: dict[str, Any], source: str) -> dict[str, Any]:
    """Return ``base`` with the keys of ``changes`` in it; tables are merged."""
    merged = dict(base)
    for key, value in changes.items():
        below = merged.get(key)
        merged[key] = _merged(below, value, source) if isinstance(below, dict) and isinstance(value, dict) else value
    return merged


def _check(board: Board, source: str) -> None:
    """Refuse what single keys cannot show.

    Raises:
        UserError: Naming the key, its value, the rule and the remedy.
    """
    families = FAMILIES[board.toolchain]
    if board.family not in families:
        raise UserError(
            f"key 'family' = '{board.family}' in {source}", f"is not built by toolchain '{board.toolchain}'", f"use {' or '.join(families)}"
        )
    uart, vivado = isinstance(board.link, UartLink), board.toolchain is Toolchain.VIVADO
    for key, given, wanted, rule in (
        ("top", board.top, uart, "a board with a serial line has a top of its own"),
        ("pins", board.pins, uart, "a board with a serial line names its pins"),
        ("vivado", board.vivado, vivado, "toolchain 'vivado' has this table"),
    ):
        if wanted and given is None:
            raise UserError(f"key '{key}' in {source}", "is missing", f"add it: {rule}")
        if not wanted and given is not None:
            raise UserError(f"key '{key}' in {source}", "has no meaning here", f"remove it: only {rule}")
    if not uart and not vivado:
        raise UserError(f"key 'link.kind' = 'axi-dma' in {source}", f"is not known to toolchain '{board.toolchain}'", "use 'uart'")
    for file in filter(None, (board.constraints, board.top)):
        if not (board.folder / file).is_file():
            raise UserError(f"file {file} named in {source}", "does not exist", f"put it in {board.folder}")


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
    """Render the top of a UART board for a core clock.

    Args:
        board: The board.
        core_mhz: The clock asked for; None for the board's default. The PLL makes the nearest one that is not above it.

    Raises:
        UserError: When the board has no top, or the PLL or the serial line cannot be run at the clock.
    """
    if board.top is None or not isinstance(board.link, UartLink):
        raise UserError(
            f"board {board.name}", "has no top of its own", "its core is built by the vendor's block design: egru generate --board"
        )
    pll = choose_pll(board, core_mhz)
    text = render_board(
        board.top, board.folder, board=board, pll=pll, baud=board.link.baud, clocks_per_bit=clocks_per_bit(pll.core_mhz, board.link.baud)
    )
    return BoardTop(text, pll.core_mhz, pll)


def choose_pll(board: Board, core_mhz: float | None = None) -> Pll:
    """Return the PLL that makes the core's clock: none where it is the oscillator's.

    Raises:
        UserError: When the clock cannot be made, or the family's PLL is not known.
    """
    wanted = board.clock.core_mhz if core_mhz is None else core_mhz
    if wanted == board.clock.oscillator_mhz:
        return no_pll(wanted)
    if board.family not in PLLS:
        raise UserError(f"board {board.name}", "has a processor that makes the clock", f"use {board.clock.oscillator_mhz:g} MHz here")
    return find_pll(PLLS[board.family], board.clock.oscillator_mhz, wanted)
