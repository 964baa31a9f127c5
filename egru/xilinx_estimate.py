"""What a design takes of an AMD part, by yosys' `synth_xilinx`: an estimate, not Vivado's count.

For boards whose bitstream only Vivado makes. It tells tables, flip-flops, block RAMs and multipliers, and no clock. On a board with a
processor it is the core alone: the DMA and the interconnects of the block design are AMD's own and not open to yosys.
"""

import importlib.metadata
import json
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from egru.place_and_route import ToolFlow
from hls_gen.board import TOP_MODULE as BOARD_MODULE
from hls_gen.board import Board, Toolchain
from hls_gen.board_flow import STATISTICS_FILE, SYNTHESIS, SYNTHESIS_SCRIPT, YOSYS, Step, read_command, synthesis_resources
from hls_gen.rtl_backend import MEMORY_FOLDER, RTL_FOLDER, TOP_MODULE
from sw_model.errors import UserError
from sw_model.output_folder import require_free, staged_folder

RESULT_FILE = "estimate.json"
SOURCE = "yosys estimate, not Vivado"


@dataclass(frozen=True)
class XilinxEstimate:
    """What came out.

    Attributes:
        board: Name of the board.
        source: That these are not Vivado's figures.
        top: The module that was synthesised: the board's top, or the core where the folder has no top.
        lut: Tables of 6 inputs, distributed RAM and shift registers included.
        ff: Flip-flops.
        bram: Block RAMs of 18 kbit; one of 36 counts as two.
        dsp: DSP48.
        available: What the part has of each.
        seconds: Wall-clock time of the synthesis.
        version: Of yosys.
    """

    board: str
    source: str
    top: str
    lut: int
    ff: int
    bram: int
    dsp: int
    available: dict[str, int]
    seconds: float
    version: str

    @property
    def exceeded(self) -> list[str]:
        """Names of the resources of which the part has too few."""
        return [name for name, limit in self.available.items() if getattr(self, name) > limit]

    def as_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return asdict(self)


def estimate(generated: Path, board: Board, out: Path, *, force: bool = False) -> XilinxEstimate:
    """Synthesise a generated folder for an AMD board.

    Args:
        generated: A folder that `egru generate` wrote.
        board: A board of toolchain ``vivado``.
        out: Output folder: script, log, statistics, and `estimate.json`.
        force: Replace what ``out`` holds.

    Raises:
        UserError: When the board is none of Vivado's, the input is no such folder, the output folder is taken, or yosys fails (its log is
            then kept beside ``out``). A part that is too small is a result, not an error: Vivado packs better than yosys.
    """
    generated, out = Path(generated), Path(out)
    if board.toolchain is not Toolchain.VIVADO:
        raise UserError(f"board {board.name}", f"is built by toolchain '{board.toolchain}'", "place and route gives its figures")
    require_free(out, force=force)
    top = BOARD_MODULE if (generated / RTL_FOLDER / f"{BOARD_MODULE}.sv").is_file() else TOP_MODULE
    if not (generated / RTL_FOLDER / f"{TOP_MODULE}.sv").is_file():
        raise UserError(f"folder {generated}", f"holds no {RTL_FOLDER}/{TOP_MODULE}.sv", "give the folder that egru generate wrote")
    with staged_folder(out, force=force) as work:
        # yosys as WebAssembly sees nothing above the folder it is started in.
        copied = [folder for folder in (RTL_FOLDER, MEMORY_FOLDER) if (generated / folder).is_dir()]
        for folder in copied:
            shutil.copytree(generated / folder, work / folder)
        sources = [f"{RTL_FOLDER}/{name}" for name in sorted(path.name for path in (work / RTL_FOLDER).glob("*.sv"))]
        (work / SYNTHESIS_SCRIPT).write_text(script(board, top, sources))
        flow = ToolFlow(work, out)
        with flow.stopped_on_error(), flow.timed("synthesis"):
            flow.run(Step("synthesis", YOSYS, ("-s", SYNTHESIS_SCRIPT), (SYNTHESIS_SCRIPT, *sources), (STATISTICS_FILE,)))
        used = asdict(synthesis_resources(board.toolchain, flow.read_json(STATISTICS_FILE)))
        del used["spram"]  # AMD has none
        limits = board.budget.model_dump()
        result = XilinxEstimate(
            board=board.name,
            source=SOURCE,
            top=top,
            **used,
            available={name: limits[name] for name in used},
            seconds=flow.seconds["synthesis"],
            version=importlib.metadata.version(YOSYS),
        )
        (work / RESULT_FILE).write_text(json.dumps(result.as_dict(), indent=1) + "\n")
        for folder in copied:
            shutil.rmtree(work / folder)
    return result


def script(board: Board, top: str, sources: list[str]) -> str:
    """Return the script of the synthesis.

    Args:
        board: Gives the device family.
        top: The module to synthesise.
        sources: SystemVerilog files, relative to the folder.
    """
    commands = (
        read_command(sources),
        f"{' '.join(SYNTHESIS[board.family])} -top {top}",
        f"tee -q -o {STATISTICS_FILE} stat -json -top {top}",
    )
    return "\n".join(commands) + "\n"
