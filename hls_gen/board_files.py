"""What a board adds to a generated core: its top and what that needs, constraints, scripts, and the way to a bitstream."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hls_gen.board import TOP_MODULE as BOARD_MODULE
from hls_gen.board import Board, Toolchain, UartLink, render_top
from hls_gen.board_flow import SCRIPTS, SYNTHESIS_SCRIPT, Step, flow_steps, synthesis_script
from hls_gen.library import read_source
from hls_gen.manifest import MANIFEST_FILE, read_manifest
from hls_gen.rtl_backend import MODEL_FOLDER, RTL_FOLDER, GeneratedRtl, library_files
from hls_gen.uart_core import UART_CORE_MODULE, render_uart_core
from hls_gen.vivado import BUILD_SCRIPT, OUTPUT_FOLDER, OVERLAY_NAME, build_command, vivado_files
from sw_model.quantized_model import QuantizedModel

#: Of the placer.
SEED = 1


@dataclass(frozen=True)
class BoardFiles:
    """What a board adds to a core.

    Attributes:
        board: The board.
        core_mhz: The clock that the core gets.
        files: Text by path in the folder; library modules that the core has too are among them.
        steps: Command lines from all sources to the bitstream, to be run in the folder.
    """

    board: Board
    core_mhz: float
    files: dict[str, str]
    steps: tuple[Step, ...]

    @property
    def rtl(self) -> list[str]:
        """Paths of the sources."""
        return sorted(name for name in self.files if name.startswith(f"{RTL_FOLDER}/"))

    @property
    def bitstream(self) -> str:
        """Path of the bitstream that the steps make."""
        return self.steps[-1].outputs[0]


def board_files(board: Board, model: QuantizedModel, generated: GeneratedRtl, clock_mhz: float | None = None) -> BoardFiles:
    """Return what ``board`` adds to a core.

    Args:
        board: The board.
        model: The model of the core.
        generated: The core.
        clock_mhz: The core's clock asked for; None for the board's default.

    Raises:
        UserError: When the board cannot make the clock.
    """
    if isinstance(board.link, UartLink):
        core_mhz, sources = uart_board_sources(board.keeping_logits(model), render_uart_core(model), clock_mhz)
    else:
        core_mhz, sources = board.clock.core_mhz if clock_mhz is None else clock_mhz, {}
    files = {f"{RTL_FOLDER}/{name}": text for name, text in sources.items()}
    files[board.constraints] = board.constraints_path.read_text()
    names = sorted({*sources, *generated.files})
    paths = [f"{RTL_FOLDER}/{name}" for name in names]
    if board.toolchain is Toolchain.VIVADO:
        files |= vivado_files(board, core_mhz, model, generated, names)
        return BoardFiles(board, core_mhz, files, (_vivado_step(board, paths),))
    steps = flow_steps(board, paths, SEED, core_mhz)
    files |= build_scripts(board, paths, steps)
    return BoardFiles(board, core_mhz, files, tuple(steps))


def uart_board_sources(board: Board, uart_core: str, clock_mhz: float | None = None) -> tuple[float, dict[str, str]]:
    """Return the sources that a board with a serial line adds to a core.

    Args:
        board: The board.
        uart_core: Text of `egru_uart_core`.
        clock_mhz: The core's clock asked for; None for the board's default.

    Returns:
        The clock that the core gets, and the sources by file name: the board's top, `egru_uart_core`, and the library modules of both.

    Raises:
        UserError: When the board has no serial line, or cannot make the clock.
    """
    top = render_top(board, clock_mhz)
    sources = {f"{BOARD_MODULE}.sv": top.text, f"{UART_CORE_MODULE}.sv": uart_core}
    return top.core_mhz, sources | {path.name: path.read_text() for path in library_files(sources.values())}


def board_sources(folder: Path, board: Board, clock_mhz: float | None = None) -> tuple[float, dict[str, str]]:
    """Return what ``board`` adds to the core in a generated folder, to be built beside it.

    A folder that was generated for that board and clock keeps what it has, changes of its user included; so does every other file of the
    folder but the top.

    Args:
        folder: The generated folder; it may hold less than all, but a core without `egru_uart_core` needs the model beside it. Without a
            model the board keeps logits as it usually does.
        board: A board with a serial line.
        clock_mhz: The core's clock asked for; None for that of the folder, or else the board's default.

    Returns:
        The clock that the core gets, and text by path.

    Raises:
        UserError: When the board has no serial line or cannot make the clock, or the model cannot be read.
    """
    manifest = read_manifest(folder) if (folder / MANIFEST_FILE).is_file() else None
    if manifest and manifest.board == board.name and manifest.core_mhz and clock_mhz in (None, manifest.core_mhz):
        own = (f"{RTL_FOLDER}/{BOARD_MODULE}.sv", board.constraints)
        return manifest.core_mhz, {name: read_source(folder / name) for name in own}
    link = folder / RTL_FOLDER / f"{UART_CORE_MODULE}.sv"
    if link.is_file() and not (folder / MODEL_FOLDER).is_dir():
        text = read_source(link)
    else:
        model = QuantizedModel.load(folder / MODEL_FOLDER)
        board, text = board.keeping_logits(model), read_source(link) if link.is_file() else render_uart_core(model)
    core_mhz, sources = uart_board_sources(board, text, clock_mhz)
    files = {f"{RTL_FOLDER}/{name}": text for name, text in sources.items()}
    new = {name: text for name, text in files.items() if name == f"{RTL_FOLDER}/{BOARD_MODULE}.sv" or not (folder / name).is_file()}
    return core_mhz, {**new, board.constraints: board.constraints_path.read_text()}


def build_scripts(board: Board, sources: Sequence[str], steps: Sequence[Step]) -> dict[str, str]:
    """Return the scripts that ``steps`` of an open flow call, by path; ``sources`` are the paths of all sources."""
    called = {name for step in steps for name in step.inputs}
    scripts = {name: path.read_text() for name, path in SCRIPTS.items() if name in called}
    return {SYNTHESIS_SCRIPT: synthesis_script(board, sources), **scripts}


def _vivado_step(board: Board, sources: Sequence[str]) -> Step:
    tool, *arguments = build_command()
    name = BOARD_MODULE if isinstance(board.link, UartLink) else OVERLAY_NAME
    return Step("bitstream", tool, tuple(arguments), (BUILD_SCRIPT, *sources), (f"{OUTPUT_FOLDER}/{name}.bit", "vivado.log"))
