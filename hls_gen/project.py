"""The generated folder: everything that a user needs to simulate, build and load a core, without this package.

rtl/ mem/ model/ hardware.json   the core, see `hls_gen.rtl_backend`
tb/                              self-checking testbench with stimulus and answers of the integer reference
Makefile egru.core README.md     make sim, make bitstream, make flash; FuseSoC; what it is
manifest.json                    what it was made of, SHA-256 of every file
scripts/ and constraints         for a board, with its top in rtl/
"""

from dataclasses import dataclass
from pathlib import Path

from hls_gen.board import Board
from hls_gen.board_files import board_files
from hls_gen.hardware_config import HardwareConfig
from hls_gen.manifest import Manifest, seal
from hls_gen.project_descriptions import Contents, descriptions
from hls_gen.rtl_backend import GeneratedRtl, generate, write_core
from hls_gen.testbench import TESTBENCH_FOLDER, Stimulus, random_stimulus, testbench_files
from hls_gen.weight_image import register_writes
from sw_model.output_folder import staged_folder, write_texts
from sw_model.quantized_model import QuantizedModel


@dataclass(frozen=True)
class Project:
    """What was written.

    Attributes:
        generated: The core.
        manifest: What stands in manifest.json.
    """

    generated: GeneratedRtl
    manifest: Manifest


def write_project(
    model: QuantizedModel,
    config: HardwareConfig,
    folder: Path,
    *,
    board: Board | None = None,
    clock_mhz: float | None = None,
    stimulus: Stimulus | None = None,
    force: bool = False,
) -> Project:
    """Generate ``model`` and write the folder described above, all or nothing; the same input gives the same bytes.

    Args:
        model: The model.
        config: Its hardware.
        folder: Where to.
        board: The board to build for; None for the core alone.
        clock_mhz: The core's clock asked for; None for the board's default.
        stimulus: What the testbench shows the core; random tokens or input events if not given.
        force: Replace what ``folder`` holds.

    Raises:
        UserError: When the configuration cannot work, the board cannot make the clock, or ``folder`` may not be written.
    """
    generated = generate(model, config)
    stimulus = stimulus or random_stimulus(model)
    added = None if board is None else board_files(board, model, generated, clock_mhz)
    testbench = testbench_files(model, generated.plan, stimulus, register_writes(generated) if config.starts_empty else ())
    with staged_folder(folder, force=force) as staging:
        write_core(model, generated, staging)
        write_texts(staging, {f"{TESTBENCH_FOLDER}/{name}": text for name, text in testbench.items()})
        write_texts(staging, {} if added is None else added.files)
        write_texts(staging, descriptions(Contents(model, generated, stimulus, added)))
        board_name, core_mhz = (added.board.name, added.core_mhz) if added else (None, None)
        manifest = seal(staging, model, config, board=board_name, core_mhz=core_mhz, stimulus=stimulus.title)
    return Project(generated, manifest)
