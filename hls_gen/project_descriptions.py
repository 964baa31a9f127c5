"""The texts that describe a generated folder to people and tools: Makefile, FuseSoC core, README."""

import shlex
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from hls_gen.board import TOP_MODULE as BOARD_MODULE
from hls_gen.board import Toolchain, UartLink
from hls_gen.board_files import BoardFiles
from hls_gen.board_flow import PYTHON, SYNTHESIS, TOOLS
from hls_gen.hardware_config import HardwarePlan
from hls_gen.ip_xact import IP_MODULE
from hls_gen.manifest import MANIFEST_FILE, generator
from hls_gen.memory_image import total_bits
from hls_gen.registers import Register
from hls_gen.render import render
from hls_gen.rtl_backend import HARDWARE_FILE, MEMORY_FOLDER, MODEL_FOLDER, RTL_FOLDER, GeneratedRtl
from hls_gen.testbench import LOADS_FILE, TESTBENCH_FOLDER, TESTBENCH_MODULE, VECTOR_FILES, Stimulus
from hls_gen.vivado import OUTPUT_FOLDER
from sw_model.macs import layer_weight_densities
from sw_model.quantized_model import QuantizedModel

MAKEFILE = "Makefile"
README_FILE = "README.md"
FUSESOC_FILE = "egru.core"
FUSESOC_NAME = "egru-fpga:user:egru:1.0"
#: What the names of the WebAssembly builds of the tools begin with.
WEB_ASSEMBLY = "yowasp-"
#: The variables of the Makefile that hold all sources, and the memory images.
ALL_SOURCES = ("$(CORE)", "$(BOARD)", "$(MEMORIES)")


@dataclass(frozen=True)
class Contents:
    """What is in a folder.

    Attributes:
        model: The model.
        generated: Its core.
        stimulus: What the testbench shows the core.
        added: What a board adds; None for the core alone.
    """

    model: QuantizedModel
    generated: GeneratedRtl
    stimulus: Stimulus
    added: BoardFiles | None

    @property
    def title(self) -> str:
        """One line for people."""
        core = f"EGRU core of {len(self.model.layers)} layer(s), model {self.model.content_hash()[:12]}"
        return f"{core}, for {self.added.board.title}" if self.added else core

    @property
    def core(self) -> list[str]:
        """Paths of the core's sources."""
        return [f"{RTL_FOLDER}/{name}" for name in self.generated.files]

    @property
    def board_rtl(self) -> list[str]:
        """Paths of the sources that only the board needs."""
        return [name for name in self.added.rtl if name not in self.core] if self.added else []

    @property
    def memories(self) -> list[str]:
        """Paths of the memory images."""
        return sorted(f"{MEMORY_FOLDER}/{name}" for image in self.generated.memories for name in image.files())

    @property
    def vectors(self) -> list[str]:
        """Paths of what the testbench reads."""
        names = (*VECTOR_FILES, LOADS_FILE) if self.generated.plan.config.starts_empty else VECTOR_FILES
        return [f"{TESTBENCH_FOLDER}/{name}" for name in names]


def descriptions(contents: Contents) -> dict[str, str]:
    """Return the texts by file name."""
    synthesis = _synthesis(contents.added, contents.board_rtl) if contents.added else None
    return {
        MAKEFILE: _makefile(contents),
        FUSESOC_FILE: render(
            "project/egru.core.j2",
            name=FUSESOC_NAME,
            title=contents.title,
            core=contents.core,
            memories=contents.memories,
            testbench=TESTBENCH_MODULE,
            vectors=contents.vectors,
            synthesis=synthesis,
        ),
        README_FILE: _readme(contents, synthesis["remark"] if synthesis else ""),
    }


def _makefile(contents: Contents) -> str:
    steps, bitstream = (contents.added.steps, contents.added.bitstream) if contents.added else ((), "")
    sources = {*contents.core, *contents.board_rtl}
    variables = {step.tool: _variable(step.tool) for step in steps}
    made = [output for step in steps for output in step.outputs if not output.startswith(f"{OUTPUT_FOLDER}/")]
    # The commands name the bitstream without its folder.
    enter = f"cd {OUTPUT_FOLDER} && " if bitstream.startswith(f"{OUTPUT_FOLDER}/") else ""
    return render(
        "project/Makefile.j2",
        title=contents.title,
        core=contents.core,
        board=contents.board_rtl,
        testbench=TESTBENCH_MODULE,
        tools=[{"variable": variable, "programs": _programs(tool)} for tool, variable in variables.items()],
        steps=[
            {
                "output": step.outputs[0],
                # The sources name the memory images: who reads the ones reads the others.
                "inputs": [*(name for name in step.inputs if name not in sources), *(ALL_SOURCES if sources & {*step.inputs} else ())],
                "variable": variables[step.tool],
                "arguments": shlex.join(step.arguments),
            }
            for step in steps
        ],
        made=[OUTPUT_FOLDER, *made],
        bitstream=bitstream,
        flash=enter + contents.added.board.flash[0] if contents.added else "",
    )


def _variable(tool: str) -> str:
    """Return the name that a tool has in the Makefile: the same for all nextpnr."""
    name = tool.removeprefix(WEB_ASSEMBLY)
    return "NEXTPNR" if name.startswith("nextpnr") else name.upper().replace("-", "_")


def _programs(tool: str) -> list[str]:
    """Return the programs that may be ``tool``, the preferred one first."""
    if tool == PYTHON:
        return ["python3", PYTHON]
    native = tool.removeprefix(WEB_ASSEMBLY)
    # Most distributions have one nextpnr-himbaechel for all its families.
    general = [native.rsplit("-", 1)[0]] if native.startswith("nextpnr-himbaechel-") else []
    return list(dict.fromkeys([native, *general, tool]))


def _synthesis(added: BoardFiles, rtl: list[str]) -> dict[str, Any]:
    """Return what FuseSoC's target ``synth`` needs; ``rtl`` are the sources that only the board has."""
    board = added.board
    common: dict[str, Any] = {"rtl": rtl, "constraints": board.constraints}
    common |= {"toplevel": BOARD_MODULE, "remark": "from the sources to the bitstream"}
    if board.toolchain is Toolchain.VIVADO:
        options: dict[str, Any] = {"part": board.part}
        if not isinstance(board.link, UartLink):
            # What is around the core is drawn by Vivado itself.
            options["pnr"] = "none"
            common |= {"toplevel": IP_MODULE, "remark": "synthesis of the core alone, for its resources; make bitstream builds the whole"}
        return common | {"flow": "vivado", "constraints_type": "xdc", "options": options}
    synthesis = [*SYNTHESIS[board.family][1:], *board.synthesis_flags]
    placer = [*board.place_and_route_flags, *TOOLS[board.toolchain].placer_flags]
    match board.toolchain:
        case Toolchain.ECP5:
            common["remark"] = "without the pass of scripts/, so with a slower clock than make bitstream"
            flow, kind, options = "trellis", "LPF", {"nextpnr_options": placer, "ecppack_options": list(board.bitstream_flags)}
        case Toolchain.ICE40:
            flow, kind, options = "icestorm", "PCF", {"nextpnr_options": placer}
        case _:
            # The flow derives all device options from the part, and takes the C revision where it is asked for.
            revision = "C" if board.place_and_route_flags[-1].endswith("C") else ""
            flow, kind, options = "apicula", "CST", {"device": board.part, "device_family": revision}
    return common | {"flow": flow, "constraints_type": kind, "options": {"yosys_synth_options": synthesis, **options}}


def _readme(contents: Contents, synthesis_remark: str) -> str:
    plan, added = contents.generated.plan, contents.added
    board = added.board if added else None
    tools = TOOLS.get(board.toolchain) if board else None
    return render(
        "project/README.md.j2",
        title=contents.title,
        generator=generator(),
        facts=model_facts(contents.model, plan, total_bits(contents.generated.memories)),
        classes=contents.model.classes,
        channels=contents.model.channels,
        event_bits=contents.model.formats.event_bits,
        logit_frac=plan.decoder.acc_frac,
        board=board,
        core_mhz=added.core_mhz if added else None,
        starts_empty=plan.config.starts_empty,
        bitstream=added.bitstream if added else "",
        flash=board.flash if board else (),
        open_flow=tools is not None,
        packages=" ".join(tools.packages) if tools else "",
        variables="=... ".join(dict.fromkeys(_variable(step.tool) for step in (added.steps if added else ()))),
        core_name=FUSESOC_NAME,
        synthesis_remark=synthesis_remark,
        stimulus=contents.stimulus.title,
        registers=[(register.name, int(register)) for register in Register],
        contents=_table_of_files(contents),
    )


def model_facts(model: QuantizedModel, plan: HardwarePlan, memory_bits: int) -> list[tuple[str, str]]:
    """Return the rows of the table with which every README begins: what, and its value."""
    decoder = np.count_nonzero(model.decoder.weight) / model.decoder.weight.size
    densities = [*layer_weight_densities(model), decoder]
    rows: dict[str, Iterable[object]] = {
        "model": [f"`{model.content_hash()}`"],
        "neurons per layer": [layer.neurons for layer in model.layers],
        ("channels, classes" if model.channels else "tokens, classes"): [model.channels or model.tokens, model.classes],
        "non-zero weights per layer, decoder": [f"{100 * density:.1f} %" for density in densities],
        "weight bits per layer, decoder": [*(layer.weight_bits for layer in model.layers), model.decoder.weight_bits],
        f"lanes: {', '.join(block.name for block in plan.blocks)}": [block.lanes for block in plan.blocks],
        "memory": [f"{memory_bits:,} bits"],
    }
    return [(what, ", ".join(map(str, values))) for what, values in rows.items()]


def _table_of_files(contents: Contents) -> list[tuple[str, str]]:
    rows = [
        (f"{RTL_FOLDER}/", "SystemVerilog: `egru_top` with the library" + (", and the board's top" if contents.board_rtl else "")),
        (f"{MEMORY_FOLDER}/", "memory images; the sources name them relative to this folder"),
        (f"{MODEL_FOLDER}/", "the model: integers (safetensors) and their description (JSON)"),
        (HARDWARE_FILE, "configuration, sizes, and where every neuron and class is"),
        (f"{TESTBENCH_FOLDER}/", "self-checking testbench, stimulus and expected answers"),
        (MAKEFILE, "`make help`"),
        (FUSESOC_FILE, "the same for FuseSoC"),
        (MANIFEST_FILE, "what this was made of, and the SHA-256 of every file"),
    ]
    if contents.added:
        constraints = contents.added.board.constraints
        places = {f"{name.split('/')[0]}/" if "/" in name else name for name in contents.added.files}
        others = sorted(places - {f"{RTL_FOLDER}/", constraints})
        rows += [(constraints, "pin constraints"), *((name, "for `make bitstream`") for name in others)]
    return rows
