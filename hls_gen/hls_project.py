"""The generated HLS folder: everything that a user of Vitis HLS, or of nothing but g++, needs, without this package.

hls/ model/ hardware.json   the core, see `hls_gen.hls_backend`
tb/                         self-checking testbench with stimulus and answers of the integer reference
scripts/build.tcl           Vitis HLS: C simulation, synthesis, co-simulation, IP
Makefile README.md          make csim, make vitis; what it is
manifest.json               what it was made of, SHA-256 of every file
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hls_gen import bambu
from hls_gen.board import Board, Family, Toolchain, known_boards, load_board
from hls_gen.hardware_config import HardwareConfig
from hls_gen.hls_backend import CSIM_SOURCE, HLS_FOLDER, HLS_LIBRARY, TOP_FUNCTION, TOP_SOURCE, GeneratedHls, generate, write_core
from hls_gen.ip_xact import DISPLAY_NAME, LIBRARY, VENDOR, VERSION
from hls_gen.manifest import MANIFEST_FILE, Manifest, generator, seal
from hls_gen.project_descriptions import MAKEFILE, README_FILE, model_facts
from hls_gen.render import render
from hls_gen.rtl_backend import HARDWARE_FILE, MODEL_FOLDER
from hls_gen.testbench import CPP_TESTBENCH, CPP_VECTOR_FILES, TESTBENCH_FOLDER, Stimulus, cpp_testbench_files, random_stimulus
from hls_gen.vivado import BUILD_SCRIPT, OUTPUT_FOLDER
from sw_model.errors import UserError
from sw_model.output_folder import staged_folder, write_texts
from sw_model.quantized_model import QuantizedModel

#: What is built for where neither a board nor a part is named: that of the Arty A7-100T.
DEFAULT_PART = "xc7a100tcsg324-1"
DEFAULT_CLOCK_MHZ = 100.0
#: Vitis HLS refuses or ignores what no fabric reaches; a slower clock than the other one is a mistake in the unit.
SLOWEST_MHZ, FASTEST_MHZ = 1.0, 1000.0
#: Of scripts/build.tcl, in their order.
STAGES = ("csim", "csynth", "cosim", "export")
DEFAULT_STAGES = ("csim", "csynth", "export")
#: The project and solution that scripts/build.tcl makes under `OUTPUT_FOLDER`, and where Vitis HLS puts its report in that.
VITIS_PROJECT, VITIS_SOLUTION = "egru", "solution1"
REPORT_FILE = "syn/report/csynth.xml"
IP_FILE = "egru_ip.zip"


@dataclass(frozen=True)
class Target:
    """What the scripts build for.

    Attributes:
        part: AMD's part number.
        clock_mhz: The clock.
        board: The board that the part is on; none for a part alone.
    """

    part: str
    clock_mhz: float
    board: Board | None

    @property
    def family(self) -> Family:
        """The device family by which resources are estimated: whatever is newer than the 7 series counts as UltraScale+."""
        return Family.XC7 if self.part.startswith("xc7") else Family.XCUP


@dataclass(frozen=True)
class HlsProject:
    """What was written.

    Attributes:
        generated: The core.
        manifest: What stands in manifest.json.
        target: What the scripts build for unless told otherwise.
    """

    generated: GeneratedHls
    manifest: Manifest
    target: Target


def write_hls_project(
    model: QuantizedModel,
    config: HardwareConfig,
    folder: Path,
    *,
    board: Board | None = None,
    part: str | None = None,
    clock_mhz: float | None = None,
    stimulus: Stimulus | None = None,
    force: bool = False,
) -> HlsProject:
    """Generate ``model`` and write the folder described above, all or nothing; the same input gives the same bytes.

    Args:
        model: The model.
        config: Its hardware.
        folder: Where to.
        board: A board of AMD's, which gives part and clock.
        part: AMD's part number, where no board is given; None for `DEFAULT_PART`.
        clock_mhz: The clock; None for the board's default, or `DEFAULT_CLOCK_MHZ`.
        stimulus: What the testbench shows the core; random tokens or input events if not given.
        force: Replace what ``folder`` holds.

    Raises:
        UserError: When the configuration cannot work or cannot be said in HLS, part or clock are none that Vitis HLS could build for, or
            ``folder`` may not be written.
    """
    target = choose_target(board, part, clock_mhz)
    generated = generate(model, config)
    stimulus = stimulus or random_stimulus(model)
    with staged_folder(folder, force=force) as staging:
        write_core(model, generated, staging)
        files = cpp_testbench_files(model, generated.plan, stimulus)
        write_texts(staging, {f"{TESTBENCH_FOLDER}/{name}": text for name, text in files.items()})
        write_texts(staging, _descriptions(model, generated, target, stimulus))
        board_name = target.board.name if target.board else None
        manifest = seal(staging, model, config, board=board_name, core_mhz=target.clock_mhz, stimulus=stimulus.title)
    return HlsProject(generated, manifest, target)


def choose_target(board: Board | None, part: str | None, clock_mhz: float | None) -> Target:
    """Return what to build for; the arguments are those of `write_hls_project`.

    Raises:
        UserError: When the board is not of AMD's, has a part of its own beside ``part``, or part or clock will not do.
    """
    if board is not None and board.toolchain is not Toolchain.VIVADO:
        others = ", ".join(name for name in known_boards() if load_board(name).toolchain is Toolchain.VIVADO)
        raise UserError(f"board {board.name}", "is no board of AMD's, whose tools read this C++", f"use {others}, or --backend rtl")
    if board is not None and part is not None:
        raise UserError(f"--part {part}", f"disagrees with --board {board.name}, which has {board.part}", "leave one of them out")
    part = board.part if board is not None else part or DEFAULT_PART
    if not re.fullmatch(r"xc[a-z0-9]+(-?[A-Za-z0-9]+)*", part):
        raise UserError(f"--part {part}", "is no part number of AMD's", f"give e.g. {DEFAULT_PART} or xck26-sfvc784-2LV-c")
    default = board.clock.core_mhz if board is not None else DEFAULT_CLOCK_MHZ
    clock_mhz = default if clock_mhz is None else clock_mhz
    if not SLOWEST_MHZ <= clock_mhz <= FASTEST_MHZ:
        raise UserError(f"--clock-mhz {clock_mhz:g}", f"is outside {SLOWEST_MHZ:g} to {FASTEST_MHZ:g}", f"give e.g. {default:g}")
    return Target(part, clock_mhz, board)


def _descriptions(model: QuantizedModel, generated: GeneratedHls, target: Target, stimulus: Stimulus) -> dict[str, str]:
    """Return the script and the texts that describe the folder to people and tools, by path."""
    values: dict[str, Any] = {
        "title": f"EGRU core in HLS C++, {len(model.layers)} layer(s), model {model.content_hash()[:12]}",
        "top": TOP_FUNCTION,
        "sources": [f"{HLS_FOLDER}/{TOP_SOURCE}"],
        "headers": sorted(_headers(generated)),
        "testbench": f"{TESTBENCH_FOLDER}/{CPP_TESTBENCH}",
        "vectors": [f"{TESTBENCH_FOLDER}/{name}" for name in CPP_VECTOR_FILES],
        "include": HLS_FOLDER,
        "part": target.part,
        "clock_mhz": target.clock_mhz,
        "process_names": [process.name for process in generated.processes],
        "bambu_options": bambu.options(bambu.DEVICES[Family.ECP5], target.clock_mhz),
        "stages": STAGES,
        "default_stages": DEFAULT_STAGES,
        "output": OUTPUT_FOLDER,
        "project": VITIS_PROJECT,
        "solution": VITIS_SOLUTION,
        "report": f"{OUTPUT_FOLDER}/{VITIS_PROJECT}/{VITIS_SOLUTION}/{REPORT_FILE}",
        "ip": IP_FILE,
        "vendor": VENDOR,
        "library": LIBRARY,
        "version": VERSION,
        "display_name": DISPLAY_NAME,
    }
    facts = [
        *model_facts(model, generated.plan, generated.memory_bits),
        *([("board", target.board.title)] if target.board else []),
        ("part, clock", f"{target.part}, {target.clock_mhz:g} MHz"),
    ]
    readme = render(
        "hls/README.md.j2",
        **values,
        generator=generator(),
        facts=facts,
        layers=[engine.name for engine in generated.plan.engines],
        channels=model.channels,
        classes=model.classes,
        logit_frac=generated.plan.decoder.acc_frac,
        event_bits=model.formats.event_bits,
        processes=len(generated.processes),
        stimulus=stimulus.title,
        contents=_table_of_files(),
    )
    return {
        BUILD_SCRIPT: render("hls/build.tcl.j2", **values),
        MAKEFILE: render("hls/Makefile.j2", **values),
        README_FILE: readme,
    }


def _headers(generated: GeneratedHls) -> Iterator[str]:
    yield from (f"{HLS_FOLDER}/{name}" for name in generated.sources if name.endswith(".hpp"))
    yield from (f"{HLS_FOLDER}/{HLS_LIBRARY.name}/{path.name}" for path in generated.library)


def _table_of_files() -> list[tuple[str, str]]:
    return [
        (f"{HLS_FOLDER}/{TOP_SOURCE}", f"the processes and the top function `{TOP_FUNCTION}`, with its header"),
        (f"{HLS_FOLDER}/egru_model.hpp, {HLS_FOLDER}/egru_tables.hpp", "sizes and widths; the contents of all memories"),
        (f"{HLS_FOLDER}/{HLS_LIBRARY.name}/", "the library that the generated code connects"),
        (f"{HLS_FOLDER}/{CSIM_SOURCE}", "a call for other languages, for C simulation only"),
        (f"{TESTBENCH_FOLDER}/", "self-checking testbench, stimulus and expected answers"),
        (BUILD_SCRIPT, "what `make vitis` runs"),
        (f"{MODEL_FOLDER}/", "the model: integers (safetensors) and their description (JSON)"),
        (HARDWARE_FILE, "configuration, sizes, processes and streams, and where every neuron and class is"),
        (MAKEFILE, "`make help`"),
        (MANIFEST_FILE, "what this was made of, and the SHA-256 of every file"),
    ]
