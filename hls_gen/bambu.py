"""Bambu, the open HLS compiler: its command lines, and the core that joins the modules which it makes of the C++ processes.

Bambu makes one module of one function. Here every process of the C++ is such a function: the modules run side by side, as the processes do,
and the streams between them are FIFOs of the RTL library (docs/decisions/0007).
"""

import re
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from hls_gen.block_memories import hash_image
from hls_gen.board import Board, Family
from hls_gen.hls_backend import HLS_FOLDER, INPUT_WIRE, LOGITS, TOP_SOURCE, GeneratedHls, Process, Wire
from hls_gen.memory_image import MemoryImage, address_bits
from hls_gen.render import render
from hls_gen.rtl_backend import MEMORY_FOLDER
from sw_model.errors import UserError
from sw_model.quantized_model import QuantizedModel

COMPILER = "bambu"
#: What ``hardware.json`` of a core names its compiler by; a core that was written by hand has none.
COMPILER_KEY = "compiler"
#: What Bambu schedules for. Of Lattice's devices it knows one ECP5, and instantiates the vendor's macros for it, which yosys has no model
#: of; for this one of AMD's it writes plain Verilog.
DEVICES = {Family.ECP5: "xc7z020,-1,clg484,VVD"}
#: Share of the clock's period that Bambu plans with: that device is faster than the ones built for, and routing takes its part.
PLANNED_SHARE = 0.6
#: The front end that was tried.
FRONT_END = "I386_CLANG13"
#: What a memory's parameter names where nothing is given: yosys reads a module with its default parameters first.
DEFAULT_IMAGE = "default.mem"
#: What Verilator remarks on in Bambu's library and in what it generates; our own sources are clean.
LINT_WAIVED = ("GENUNNAMED", "PINMISSING", "PROCASSINIT", "UNUSEDPARAM", "UNUSEDSIGNAL", "WIDTHEXPAND", "WIDTHTRUNC")
#: Words between the C++ and the AXI4-Stream output.
LOGIT_DEPTH = 4


@dataclass(frozen=True)
class Compiled:
    """What Bambu made of one process.

    Attributes:
        verilog: The Verilog, all modules in one text.
        memories: Texts of the memory images that it names, by file name.
    """

    verilog: str
    memories: dict[str, str]


def device_of(board: Board) -> str:
    """Return Bambu's name of a device like that of ``board``.

    Raises:
        UserError: When Bambu knows none.
    """
    if board.family not in DEVICES:
        known = ", ".join(DEVICES)
        rule = f"is of no family that is built with {COMPILER} ({known})"
        raise UserError(f"board {board.name} ({board.family})", rule, "generate it with --backend rtl")
    return DEVICES[board.family]


def arguments(process: str, device: str, clock_mhz: float) -> tuple[str, ...]:
    """Return Bambu's arguments for ``process``, to be run in a folder that holds the sources under `HLS_FOLDER`."""
    return (f"{HLS_FOLDER}/{TOP_SOURCE}", *options(device, clock_mhz), f"--top-fname={process}")


def options(device: str, clock_mhz: float) -> tuple[str, ...]:
    """Return Bambu's options for a clock and one of its devices."""
    return (
        "--std=c++17",
        "-O2",
        f"--compiler={FRONT_END}",
        "--generate-interface=INFER",
        f"--device-name={device}",
        f"--clock-period={PLANNED_SHARE * 1000 / clock_mhz:.3f}",
        "--reset-type=async",
        "--reset-level=low",
        # Tables of a thousand words would become logic.
        "--do-not-use-asynchronous-memories",
        # Loops over all rows would be unrolled: a lane takes a third of the logic without.
        "-fno-unroll-loops",
    )


def output_file(process: str) -> str:
    """Return the name of the file that Bambu writes for ``process``."""
    return f"{process}.v"


def join(compiled: Mapping[str, Compiled]) -> tuple[dict[str, str], dict[str, str]]:
    """Put the modules of all processes side by side.

    Every process brings its own copy of the library modules that it uses, under the same names; copies that differ get a name of their own.

    Args:
        compiled: By name of the process.

    Returns:
        Sources, one module a file that is named after it, and memory images by name.

    Raises:
        UserError: When a text holds no module.
    """
    sources: dict[str, str] = {}
    memories = {DEFAULT_IMAGE: "0\n"}
    for process, found in compiled.items():
        memories |= {f"{process}_{name}": image for name, image in found.memories.items()}
        text = _move_images(found, process)
        prelude, modules = _split(text)
        clashing = {name for name, body in modules.items() if sources.get(f"{name}.sv", _file(prelude, body)) != _file(prelude, body)}
        # So does a copy of the same text that uses one of those: it would take the other process' module.
        while users := {name for name in modules.keys() - clashing if f"{name}.sv" in sources and _uses(modules[name], clashing)}:
            clashing |= users
        for name, body in modules.items():
            new = f"{process}_{name}" if name in clashing else name
            sources.setdefault(f"{new}.sv", _file(prelude, _rename(body, {clash: f"{process}_{clash}" for clash in clashing})))
    return sources, memories


def stitched_core(model: QuantizedModel, generated: GeneratedHls) -> tuple[str, MemoryImage]:
    """Return `egru_top`, which joins the processes, and the memory that its registers read the model's hash from."""
    blocks = [_block(block.name, generated.processes) for block in generated.plan.blocks]
    wires = [*generated.wires, Wire(LOGITS, 33, LOGIT_DEPTH)]
    image = hash_image(model)
    text = render(
        "hls/stitched_top.sv.j2",
        layer_count=len(model.layers),
        tokens=model.tokens,
        channels=model.channels,
        input_bits=address_bits(model.tokens or model.channels),
        event_bits=model.formats.event_bits,
        classes=model.classes,
        class_bits=address_bits(model.classes),
        total_lanes=generated.plan.lanes,
        logit_frac=generated.plan.decoder.acc_frac,
        counter_bits=generated.plan.config.counter_bits,
        hash_file=f"{MEMORY_FOLDER}/{image.name}",
        wires=[asdict(wire) | {"count_bits": wire.depth.bit_length()} for wire in wires],
        input_wire=INPUT_WIRE,
        logit_wire=LOGITS,
        event_streams=[port.wire for process in generated.processes for port in process.ports if port.outside and port.wire != LOGITS],
        processes=generated.processes,
        blocks=blocks,
    )
    return text, image


def _block(name: str, processes: tuple[Process, ...]) -> dict[str, Any]:
    """Return where the steps and events of a block can be counted."""
    mine = [process for process in processes if process.block == name]
    ports = {port.name: port for port in mine[0].ports}  # the sequencer's
    events = next((port.wire for process in mine for port in process.ports if port.outside and port.wire != LOGITS), None)
    return {
        "name": name,
        "step_wire": ports["steps0"].wire,
        "input_wire": ports["input"].wire,
        "input_end": ports["input"].bits - 1,
        "own_event": f"{events}_i_valid && !{events}_i_data[32]" if events else "1'b0",
    }


def _move_images(found: Compiled, process: str) -> str:
    """Return the Verilog with the names that its memory images have in the folder of the core."""

    def place(match: re.Match[str]) -> str:
        name = match[1].rpartition("/")[2]
        return f'"{MEMORY_FOLDER}/{f"{process}_{name}" if name in found.memories else DEFAULT_IMAGE}"'

    return re.sub(r'"([^"\n]*\.mem)"', place, found.verilog)


def _split(text: str) -> tuple[str, dict[str, str]]:
    """Return what stands before all modules, licence and compiler directives, and the modules by name, each with its own notice."""
    found = list(re.finditer(r"^((?://[^\n]*\n)*)(?:`timescale[^\n]*\n)?(module\s+(\w+).*?^endmodule)", text, re.MULTILINE | re.DOTALL))
    if not found:
        raise UserError(f"what {COMPILER} wrote", "holds no module", "see its log")
    head = text[: found[0].start(2)]
    # The rest of the head says when and where it was made, which would make all copies differ.
    licence = re.search(r"^// The following text holds.*?^// \*+$", head, re.MULTILINE | re.DOTALL)
    directives = [line for line in head.splitlines() if line.lstrip().startswith("`")]
    return "\n".join([*([licence[0]] if licence else []), *directives]), {match[3]: match[1] + match[2] for match in found}


def _uses(text: str, names: Collection[str]) -> bool:
    return any(re.search(rf"\b{re.escape(name)}\b", text) for name in names)


def _rename(text: str, names: Mapping[str, str]) -> str:
    """Replace whole words."""
    if not names:
        return text
    return re.sub(rf"\b({'|'.join(map(re.escape, names))})\b", lambda match: names[match[0]], text)


def _file(prelude: str, module: str) -> str:
    return "".join(f"// verilator lint_off {code}\n" for code in LINT_WAIVED) + f"{prelude}\n{module}\n"


def read_compiled(folder: Path, process: str) -> Compiled:
    """Read what Bambu wrote into ``folder`` for ``process``."""
    images = {image.name: image.read_text() for image in sorted(folder.glob("*.mem"))}
    return Compiled((folder / output_file(process)).read_text(), images)
