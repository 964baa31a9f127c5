"""The simulated board: the whole top of a UART board in Verilator, its serial pins behind a pseudo-terminal.

A program opens the terminal as it would open the port of a real board; bits take as many clock cycles as on the board. From a shell::

    python -m sim.simulated_board runs/rtl --board ulx3s_85f
"""

import argparse
import re
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from hls_gen.board import TOP_MODULE, PinsSection, UartLink, clocks_per_bit, load_board, render_top
from hls_gen.board_files import board_sources
from hls_gen.library import read_source
from hls_gen.manifest import MANIFEST_FILE, read_manifest
from hls_gen.rtl_backend import HARDWARE_FILE, RTL_FOLDER
from sim.build_cache import PACKAGE_ROOT, BenchError, cache_folder
from sim.runner import VENDOR_MODELS, VERILATOR_FLAGS, compile_flags, kept_build
from sw_model.errors import UserError

HARNESS = PACKAGE_ROOT / "sim" / "board" / "board_main.cpp"
PROGRAM = "simulated_board"
TOP_FILE = f"{TOP_MODULE}.sv"
DEFAULT_BOARD = "ulx3s_85f"
PINS_HEADER = "board_pins.h"
END_SECONDS = 10.0
# The simulation runs for minutes and is built once: worth a compiler's full effort.
_MAKE_FLAGS = compile_flags("-O3", "-O3")


@dataclass(frozen=True)
class BoardReport:
    """What a simulated board did.

    Attributes:
        cycles: Clock cycles simulated.
        seconds: Wall-clock time that they took; the time in which nobody talked is not in it.
    """

    cycles: int
    seconds: float

    @property
    def cycles_per_second(self) -> float:
        """Simulated cycles per second."""
        return self.cycles / self.seconds


@dataclass(frozen=True)
class BoardDesign:
    """What is built.

    Attributes:
        sources: Text of every source by its file name.
        pins: The ports of the top that the simulation drives.
        clocks_per_bit: Clock cycles of a bit on the line.
    """

    sources: dict[str, str]
    pins: PinsSection
    clocks_per_bit: int


def board_of(folder: Path) -> str:
    """Return the board that a folder was generated for; `DEFAULT_BOARD` where it was for none, or is no generated folder."""
    if not (folder / HARDWARE_FILE).is_file() or not (folder / MANIFEST_FILE).is_file():
        return DEFAULT_BOARD
    return read_manifest(folder).board or DEFAULT_BOARD


def board_design(generated: Path, name: str, baud: int | None = None) -> BoardDesign:
    """Put a board around the core in a generated folder.

    Args:
        generated: The folder; what it holds of the board itself is used as it stands, see `hls_gen.board_files.board_sources`.
        name: The board.
        baud: Of its line; None for the board's own. Another makes another top.

    Raises:
        UserError: When there is no such board, it has no serial line, or the rate cannot be made.
    """
    board = load_board(name)
    if not isinstance(board.link, UartLink) or board.pins is None:
        raise UserError(f"board {name}", "has no serial line to simulate", "choose a UART board, or use egru simulate for the core alone")
    core_mhz, added = board_sources(generated, board)
    sources = {path.name: read_source(path) for path in sorted([*(generated / RTL_FOLDER).glob("*.sv"), *VENDOR_MODELS.glob("*.sv")])}
    sources |= {Path(path).name: text for path, text in added.items() if path.endswith(".sv")}
    link = board.link
    if baud is not None and baud != link.baud:
        link = UartLink(kind="uart", baud=baud)
        sources[TOP_FILE] = render_top(board.model_copy(update={"link": link}), core_mhz).text
    return BoardDesign(sources, board.pins, clocks_per_bit(core_mhz, link.baud))


def build_board(design: BoardDesign, *, cache: Path | None = None) -> Path:
    """Build the simulation of a board, unless it is kept; return the program.

    Raises:
        BenchError: When Verilator or the compiler refuses.
    """
    pins = _pins_header(design)

    def make(folder: Path, log: Path) -> None:
        for name, text in {**design.sources, PINS_HEADER: pins}.items():
            (folder / name).write_text(text)
        files = [*(str(folder / name) for name in design.sources), str(HARNESS)]
        command = ["verilator", "--cc", "--exe", "--build", "-Mdir", str(folder), "-o", PROGRAM, "--top-module", TOP_MODULE]
        with log.open("w") as output:
            done = subprocess.run([*command, *VERILATOR_FLAGS, *files], stdout=output, stderr=output, check=False)
        if done.returncode:
            raise RuntimeError(f"verilator ended with status {done.returncode}")

    inputs = [pins, design.sources, HARNESS.read_text()]
    return kept_build(PROGRAM, VERILATOR_FLAGS, inputs, make, cache=cache or cache_folder(), make_flags=_MAKE_FLAGS) / PROGRAM


def other_inputs(top: str, pins: PinsSection) -> dict[str, int]:
    """Return the levels of a top's inputs besides clock and line while nobody touches the board.

    By the rule for names of signals: one that ends in ``n`` after an underscore or after ``reset`` is active when low.
    """
    ports = top[: top.index(");")]
    names = re.findall(r"^\s*input\s+logic\s+(?:\[[^]]*\]\s*)?(\w+)", ports, re.MULTILINE)
    return {name: int(bool(re.search(r"(_|reset|rst)n$", name))) for name in names if name not in (pins.clock, pins.rx)}


def _pins_header(design: BoardDesign) -> str:
    """Return what the harness has to know of the board."""
    pins = design.pins
    levels = " ".join(f"top_->{name} = {level};" for name, level in other_inputs(design.sources[TOP_FILE], pins).items())
    macros = {"CLOCK": pins.clock, "RX": pins.rx, "TX": pins.tx, "CLOCKS_PER_BIT": design.clocks_per_bit, "OTHER_INPUTS": levels}
    return "".join(f"#define EGRU_{name} {value}\n" for name, value in macros.items())


class SimulatedBoard:
    """A board that runs; ends with its ``with`` block, with this process, or when whoever opened its port closes it.

    Args:
        generated: Folder that `egru generate` wrote.
        board: Name of a board with a serial line; None for the one that the folder was generated for.
        baud: Of its line; None for the board's own.
        seed: Of the random initial values of registers and memories.
        cache: Where builds are kept; None for the usual folder.

    Attributes:
        port: Path of the pseudo-terminal.
        cycles_per_second: How fast it is simulated here, measured at the start.
        real_baud: Bits per second that the line carries in wall-clock time at that speed.

    Raises:
        UserError: When the board has no serial line, or its clock or baud rate cannot be made.
        BenchError: When it cannot be built or started.
    """

    def __init__(
        self, generated: Path | str, board: str | None = None, *, baud: int | None = None, seed: int = 1, cache: Path | None = None
    ) -> None:
        generated = Path(generated)
        design = board_design(generated, board or board_of(generated), baud)
        program = build_board(design, cache=cache)
        # Its standard input is never written to: it ends when this process does.
        self._process = subprocess.Popen(
            [program, "+verilator+rand+reset+2", f"+verilator+seed+{seed % 0x7FFFFFFE + 1}"],
            cwd=generated,  # the sources name the memory images from there
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._report: BoardReport | None = None
        self._failure = ""
        assert self._process.stdout is not None
        self.port, speed = self._process.stdout.readline().strip(), self._process.stdout.readline().strip()
        if not speed:
            self.close()
            raise BenchError(f"the simulated board did not start: {self.failure}")
        self.cycles_per_second = float(speed)
        self.real_baud = self.cycles_per_second / design.clocks_per_bit

    def __enter__(self) -> "SimulatedBoard":
        """Return the board."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """End the simulation."""
        self.close()

    @property
    def pid(self) -> int:
        """Process ID of the simulation."""
        return self._process.pid

    def running(self) -> bool:
        """Say whether it still runs."""
        return self._process.poll() is None

    @property
    def failure(self) -> str:
        """What the simulation said of its failure; empty as long as it runs, and when it ended well."""
        if not self.running():
            self.close()
        return self._failure

    def close(self) -> BoardReport | None:
        """End the simulation, if it still runs.

        Returns:
            What it did; None when it failed.
        """
        if self._process.stdout is None or self._process.stdout.closed:
            return self._report
        self._process.terminate()
        try:
            output, errors = self._process.communicate(timeout=END_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            output, errors = self._process.communicate()
        if self._process.returncode == 0:
            cycles, seconds = output.split()
            self._report = BoardReport(int(cycles), float(seconds))
        else:
            self._failure = next(filter(None, (errors + output).splitlines()), f"it ended with status {self._process.returncode}")
        return self._report


def main() -> int:
    """Run a simulated board until its port is closed or Ctrl-C is pressed."""
    parser = argparse.ArgumentParser(prog="python -m sim.simulated_board", description=main.__doc__)
    parser.add_argument("generated", type=Path, help="folder that `egru generate` wrote")
    parser.add_argument("--board", help="a board with a serial line; the one that the folder was generated for if not given")
    parser.add_argument("--baud", type=int, help="of the line; the board's if not given")
    parser.add_argument("--seed", type=int, default=1, help="of initial register and memory values")
    arguments = parser.parse_args()
    try:
        with SimulatedBoard(arguments.generated, arguments.board, baud=arguments.baud, seed=arguments.seed) as board:
            print(f"{board.port}\n{board.cycles_per_second:,.0f} cycles per second, {board.real_baud:,.0f} baud", flush=True)
            while board.running():
                time.sleep(0.2)
    except (UserError, BenchError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 0
    return 0


if __name__ == "__main__":
    sys.exit(main())
