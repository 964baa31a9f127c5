"""From HLS C++ to a bitstream with Bambu: modules, their proof against the reference, place and route."""

import json
import re
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from egru.artifacts import GeneratedFolder, choose_tokens, deal_sequences, read_generated
from egru.output import CheckFailedError, progress_bar, words_to_stderr, working
from egru.place_and_route import RESULT_FILE, BuildResult, ToolFlow, build, check_arguments
from hls_gen.backend import Backend
from hls_gen.bambu import COMPILER, COMPILER_KEY, Compiled, arguments, device_of, join, output_file, read_compiled, stitched_core
from hls_gen.board import Board, render_top
from hls_gen.board_flow import Step, require_open_flow
from hls_gen.hardware_config import HardwareConfig
from hls_gen.hls_backend import HLS_FOLDER, GeneratedHls, generate
from hls_gen.rtl_backend import HARDWARE_FILE, MEMORY_FOLDER, MODEL_FOLDER, RTL_FOLDER, TOP_MODULE, library_files
from sim.build_cache import BenchError
from sim.equivalence import EquivalenceResult, check_equivalence
from sw_model.errors import UserError
from sw_model.output_folder import require_free, staged_folder

#: In the output folder: the core as RTL, which `egru simulate` and `egru build` take; its proof; what place and route made.
CORE_FOLDER, PROOF_FOLDER, BUILD_FOLDER = "core", "simulation", "build"
STEPS, SEQUENCES, SEED = 200, 2, 1


@dataclass(frozen=True)
class HlsBuildResult:
    """What came out.

    Attributes:
        compiler: Bambu and its version.
        build: Place and route of the core that Bambu made.
        equivalence: Its proof in simulation.
    """

    compiler: str
    build: BuildResult
    equivalence: EquivalenceResult

    def as_dict(self) -> dict[str, Any]:
        """Return plain values for JSON: those of any other build, and what HLS adds."""
        build = self.build.as_dict() | {"bitstream": f"{BUILD_FOLDER}/{self.build.bitstream}"}
        equivalence = self.equivalence.to_json() | {"log": f"{PROOF_FOLDER}/{self.equivalence.log.name}"}
        return build | {"backend": Backend.HLS.value, COMPILER_KEY: self.compiler, "equivalence": equivalence}


def require_compiler() -> str:
    """Return Bambu's name and version.

    Raises:
        UserError: When it is not on PATH or does not run.
    """
    if shutil.which(COMPILER) is None:
        remedy = "build PandA-bambu 2024.10 or later from its public source with clang 13, and put it on PATH"
        raise UserError(f"program {COMPILER}", "is not on PATH", remedy)
    try:
        said = subprocess.run([COMPILER, "--version"], capture_output=True, text=True, check=False, timeout=60)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise UserError(f"program {COMPILER}", f"does not run: {error}", f"try {COMPILER} --version") from None
    version = re.search(r"PandA (\d\S*)", said.stdout + said.stderr)
    return f"{COMPILER} {version[1] if version else 'of unknown version'}"


def build_hls(
    generated: Path,
    board: Board,
    out: Path,
    *,
    seeds: tuple[int, ...] = (1, 2, 3),
    clock_mhz: float | None = None,
    jobs: int = 2,
    force: bool = False,
) -> HlsBuildResult:
    """Compile a generated HLS folder with Bambu, prove what came out, and take it to a bitstream.

    Args:
        generated: A folder that ``egru generate --backend hls`` wrote.
        board: A board of a family that Bambu builds for here.
        out: The output folder; it appears when everything has succeeded.
        seeds: Of the placer.
        clock_mhz: The core's clock; None for the board's default.
        jobs: Processes compiled, or seeds routed, at the same time.
        force: Replace what ``out`` holds.

    Raises:
        UserError: When the folder, the board or a tool will not do.
        CheckFailedError: When the modules differ from the reference; the case is kept beside ``out``.
    """
    out = Path(out)
    require_free(out, force=force)
    folder = read_generated(generated, Backend.HLS)
    # What place and route would refuse is refused before minutes are spent.
    check_arguments(seeds, jobs)
    device_of(board)
    require_open_flow(board)
    render_top(board, clock_mhz)
    compiler = require_compiler()
    with staged_folder(out, force=force) as work:
        compile_core(folder, board, work / CORE_FOLDER, compiler=compiler, log_beside=out, clock_mhz=clock_mhz, jobs=jobs)
        equivalence = _prove(folder, work / CORE_FOLDER, work / PROOF_FOLDER, out)
        built = build(work / CORE_FOLDER, board, work / BUILD_FOLDER, seeds=seeds, clock_mhz=clock_mhz, jobs=jobs)
        result = HlsBuildResult(compiler, built, equivalence)
        (work / RESULT_FILE).write_text(json.dumps(result.as_dict(), indent=1) + "\n")
    return result


def compile_core(
    folder: GeneratedFolder, board: Board, out: Path, *, compiler: str, log_beside: Path, clock_mhz: float | None = None, jobs: int = 2
) -> None:
    """Make an RTL folder of an HLS folder.

    Args:
        folder: The HLS folder.
        board: Gives Bambu's device and the clock.
        out: A folder that does not exist.
        compiler: Bambu's name and version, for the description.
        log_beside: A failed process' log is kept beside this path.
        clock_mhz: The clock; None for the board's default.
        jobs: Processes compiled at the same time.

    Raises:
        UserError: When the folder or the board will not do, or Bambu fails.
    """
    device = device_of(board)
    hardware = json.loads((folder.folder / HARDWARE_FILE).read_bytes())
    try:
        config = HardwareConfig.model_validate(hardware["config"])
    except (KeyError, ValueError):
        raise UserError(f"file {folder.folder / HARDWARE_FILE}", "is truncated or altered", "generate the folder again") from None
    generated = generate(folder.model, config)
    clock_mhz = board.clock.core_mhz if clock_mhz is None else clock_mhz
    scratch = out.with_name(f"{out.name}.{COMPILER}")
    sources, memories = join(_compile(folder.folder, generated, scratch, log_beside, device, clock_mhz, jobs))
    top, hash_image = stitched_core(folder.model, generated)
    sources[f"{TOP_MODULE}.sv"] = top
    (out / RTL_FOLDER).mkdir(parents=True)
    (out / MEMORY_FOLDER).mkdir()
    for path in library_files([top]):
        shutil.copyfile(path, out / RTL_FOLDER / path.name)
    for name, text in sources.items():
        (out / RTL_FOLDER / name).write_text(text)
    for name, text in (memories | hash_image.files()).items():
        (out / MEMORY_FOLDER / name).write_text(text)
    folder.model.save(out / MODEL_FOLDER)
    description = hardware | {"format": Backend.RTL.folder_format, COMPILER_KEY: compiler}
    (out / HARDWARE_FILE).write_text(json.dumps(description, indent=1, sort_keys=True) + "\n")
    shutil.rmtree(scratch)


def _compile(
    folder: Path, generated: GeneratedHls, scratch: Path, log_beside: Path, device: str, clock_mhz: float, jobs: int
) -> dict[str, Compiled]:
    """Run Bambu for every process, each in a folder of its own: it writes its files to where it is started."""
    flows = {process.name: ToolFlow(scratch / process.name, log_beside) for process in generated.processes}
    # The innermost comes first: what runs is stopped before the pool waits for it.
    with progress_bar() as progress, ThreadPoolExecutor(jobs) as pool, ExitStack() as stack:
        for flow in flows.values():
            stack.enter_context(flow.stopped_on_error())
        task = progress.add_task(COMPILER, total=len(flows))

        def run(name: str) -> Compiled:
            flow = flows[name]
            shutil.copytree(folder / HLS_FOLDER, flow.work / HLS_FOLDER)
            flow.run(Step(name, COMPILER, arguments(name, device, clock_mhz), (), (output_file(name),)))
            return read_compiled(flow.work, name)

        futures = {pool.submit(run, name): name for name in flows}
        stack.callback(pool.shutdown, wait=False, cancel_futures=True)
        for future in as_completed(futures):
            future.result()
            progress.update(task, advance=1, description=futures[future])
        return {name: future.result() for future, name in futures.items()}


def _prove(folder: GeneratedFolder, core: Path, run: Path, out: Path) -> EquivalenceResult:
    """Compare the core with the reference, on held-out text where the model knows one."""
    tokens, _, _ = choose_tokens(folder.model, STEPS, SEED, None)
    sequences = deal_sequences(tokens, STEPS, SEQUENCES)
    try:
        with working(f"simulating {STEPS} steps"), words_to_stderr():
            return check_equivalence(core, sequences, seed=SEED, run_dir=run)
    except BenchError as error:
        kept = out.parent / f"{out.name}.{PROOF_FOLDER}"
        shutil.rmtree(kept, ignore_errors=True)
        if run.is_dir():  # not where the modules did not even compile
            shutil.copytree(run, kept)
        raise CheckFailedError(str(error).splitlines()[0].replace(str(run), str(kept)).rstrip(":")) from None
