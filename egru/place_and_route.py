"""The open flow: synthesis, place and route with several seeds, bitstream; from a generated folder to a bitstream and its figures.

What is run for which board stands in `hls_gen.board_flow`. The output folder then holds the sources as they were built (rtl/, mem/, the pin
constraints, the scripts), every tool's log and report, the bitstream and `build.json`.
"""

import importlib.metadata
import json
import re
import shutil
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from egru.artifacts import changes_remark
from egru.output import progress_bar, progress_console
from egru.tools import require_script
from hls_gen import weight_swap
from hls_gen.board import Board
from hls_gen.board_files import board_sources, build_scripts
from hls_gen.board_flow import (
    NETLIST_FILE,
    PYTHON,
    STATISTICS_FILE,
    TOOLS,
    Resources,
    Step,
    bitstream_file,
    bitstream_step,
    check_fit,
    place_and_route_step,
    report_file,
    require_open_flow,
    routed_file,
    routed_resources,
    slowest_clock_mhz,
    synthesis_resources,
    synthesis_steps,
)
from hls_gen.library import read_source
from hls_gen.rtl_backend import MEMORY_FOLDER, RTL_FOLDER, library_files
from hls_gen.rtl_backend import TOP_MODULE as CORE_MODULE
from sw_model.errors import UserError
from sw_model.output_folder import require_free, staged_folder

RESULT_FILE = "build.json"


@dataclass(frozen=True)
class BuildResult:
    """What came out of a build.

    Attributes:
        board: Name of the board.
        lut: Tables in use after placement, carry chains and distributed RAM included; this and the next four in the board's own units, see
            `hls_gen.board.Budget`.
        ff: Flip-flops in use.
        bram: Block RAMs in use.
        dsp: Multipliers in use.
        spram: Large single-port RAMs in use.
        fmax_mhz: Median of the seeds' clocks.
        fmax_mhz_per_seed: Each seed's clock after routing.
        seed: The seed of the bitstream: the fastest.
        target_mhz: The clock that the board's PLL makes.
        timing_met: Whether the bitstream's own routing reaches the target.
        bitstream: File name in the output folder.
        bitstream_bytes: Its size.
        seconds: Wall-clock time of each stage.
        versions: The tools' packages and versions.
    """

    board: str
    lut: int
    ff: int
    bram: int
    dsp: int
    spram: int
    fmax_mhz: float
    fmax_mhz_per_seed: dict[int, float]
    seed: int
    target_mhz: float
    timing_met: bool
    bitstream: str
    bitstream_bytes: int
    seconds: dict[str, float]
    versions: dict[str, str]

    def as_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return asdict(self)


@dataclass(frozen=True)
class Routed:
    """One seed's routing: its clock, and what it takes."""

    seed: int
    fmax_mhz: float
    resources: Resources


def build(
    generated: Path,
    board: Board,
    out: Path,
    *,
    seeds: Sequence[int] = (1, 2, 3),
    clock_mhz: float | None = None,
    jobs: int = 2,
    force: bool = False,
) -> BuildResult:
    """Take generated RTL to a bitstream.

    Args:
        generated: A folder that `egru generate` wrote; see `hls_gen.board_files.board_sources` for what is taken from it.
        board: The board to build for.
        out: The output folder; it appears when everything has succeeded.
        seeds: Seeds of the placer; the bitstream is made of the fastest.
        clock_mhz: The core's clock asked for; None for that of the folder, or else the board's default.
        jobs: Seeds routed at the same time.
        force: Replace what ``out`` holds.

    Raises:
        UserError: When the input is not such a folder, the output folder is taken, the clock cannot be made, the design does not fit the
            board, the board is built by the vendor's tool, or a tool fails (its log is then kept beside ``out``).
    """
    out = Path(out)
    require_free(out, force=force)
    check_arguments(seeds, jobs)
    if not (Path(generated) / RTL_FOLDER / f"{CORE_MODULE}.sv").is_file():
        raise UserError(f"folder {generated}", f"holds no {RTL_FOLDER}/{CORE_MODULE}.sv", "give the folder that egru generate wrote")
    packages = require_open_flow(board).packages
    core_mhz, added = board_sources(Path(generated), board, clock_mhz)
    if remark := changes_remark(Path(generated)):
        progress_console.print(remark, soft_wrap=True, markup=False)
    with staged_folder(out, force=force) as work, ToolFlow(work, out).stopped_on_error() as flow, progress_bar() as progress:
        task = progress.add_task(f"build for {board.name}", total=2 + len(seeds))

        def advance(stage: str) -> None:
            progress.update(task, advance=1, description=stage)

        sources = _collect_sources(Path(generated), board, added, work)
        swappable = weight_swap.begin(Path(generated), board, work)
        with flow.timed("synthesis"):
            for step in synthesis_steps(board, sources):
                flow.run(step)
        synthesised = synthesis_resources(board.toolchain, flow.read_json(STATISTICS_FILE), flow.read_json(NETLIST_FILE))
        check_fit(synthesised, board)
        advance("placing and routing")
        steps = {seed: place_and_route_step(board, seed, core_mhz) for seed in seeds}
        routed = _route_all(flow, board, steps, synthesised, jobs, advance)
        best = max(routed, key=lambda one: one.fmax_mhz)
        with flow.timed("bitstream"):
            if swappable is not None:
                weight_swap.finish(swappable, work, routed_file(board, best.seed))
            flow.run(bitstream_step(board, best.seed))
        advance("bitstream")
        result = BuildResult(
            board=board.name,
            **asdict(best.resources),
            fmax_mhz=round(statistics.median(one.fmax_mhz for one in routed), 2),
            fmax_mhz_per_seed={one.seed: one.fmax_mhz for one in routed},
            seed=best.seed,
            target_mhz=core_mhz,
            timing_met=best.fmax_mhz >= core_mhz,
            bitstream=bitstream_file(board),
            bitstream_bytes=(work / bitstream_file(board)).stat().st_size,
            seconds=flow.seconds,
            versions={package: importlib.metadata.version(package) for package in packages},
        )
        (work / RESULT_FILE).write_text(json.dumps(result.as_dict(), indent=1) + "\n")
    return result


def check_arguments(seeds: Sequence[int], jobs: int) -> None:
    """Refuse what is no set of seeds or number of jobs.

    Raises:
        UserError: When it is not.
    """
    if not seeds or len(set(seeds)) != len(seeds) or min(seeds) < 0:
        raise UserError(f"seeds={list(seeds)}", "must be different numbers of 0 or more", "give e.g. 1 2 3")
    if jobs < 1:
        raise UserError(f"jobs={jobs}", "is not positive", "use 1 or more")


def _collect_sources(generated: Path, board: Board, added: Mapping[str, str], work: Path) -> list[str]:
    """Bring everything under one folder: the WebAssembly builds of the tools see nothing above the folder they are started in.

    Args:
        generated: Folder with the core.
        board: The board.
        added: What it adds to the core, text by path.
        work: The folder.

    Returns:
        The SystemVerilog files, relative to ``work``, sorted.
    """
    rtl = work / RTL_FOLDER
    shutil.copytree(generated / RTL_FOLDER, rtl)
    if (generated / MEMORY_FOLDER).is_dir():
        shutil.copytree(generated / MEMORY_FOLDER, work / MEMORY_FOLDER)
    for name, text in added.items():
        (work / name).write_text(text)
    for path in library_files(read_source(path) for path in rtl.glob("*.sv")):
        if not (rtl / path.name).exists():
            shutil.copyfile(path, rtl / path.name)
    sources = [f"{RTL_FOLDER}/{path.name}" for path in sorted(rtl.glob("*.sv"))]
    for name, text in build_scripts(board, sources, synthesis_steps(board, sources)).items():
        (work / name).parent.mkdir(exist_ok=True)
        (work / name).write_text(text)
    return sources


def _route_all(
    flow: "ToolFlow", board: Board, steps: dict[int, Step], synthesised: Resources, jobs: int, advance: Callable[[str], None]
) -> list[Routed]:
    """Route every seed, ``jobs`` at a time, and return them in the order of ``steps``."""

    def route(seed: int) -> Routed:
        flow.run(steps[seed])
        report = flow.read_json(report_file(seed))
        return Routed(seed, slowest_clock_mhz(report), routed_resources(board.toolchain, report, synthesised))

    with flow.timed("place_and_route"):
        # The first call after an installation compiles the tool for most of a minute: once, before two would do it side by side.
        flow.run(Step("nextpnr_version", TOOLS[board.toolchain].place_and_route, ("--version",), (), ()))
        with ThreadPoolExecutor(min(jobs, len(steps))) as pool:
            try:
                futures = [pool.submit(route, seed) for seed in steps]
                for future in as_completed(futures):
                    advance(f"seed {future.result().seed}: {future.result().fmax_mhz:.1f} MHz")
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                flow.stop()
                raise
        return [future.result() for future in futures]


class ToolFlow:
    """Runs the tools in one folder, keeps their logs and times, and can stop them."""

    def __init__(self, work: Path, out: Path) -> None:
        """Run in ``work``; when a tool fails, its log is kept beside ``out``."""
        self.work = work
        self.seconds: dict[str, float] = {}
        self._out = out
        self._running: set[subprocess.Popen[bytes]] = set()
        self._lock = threading.Lock()
        self._stopped = False

    @contextmanager
    def timed(self, stage: str) -> Iterator[None]:
        """Take the time of a stage."""
        start = time.monotonic()
        yield
        self.seconds[stage] = round(time.monotonic() - start, 2)

    @contextmanager
    def stopped_on_error(self) -> Iterator["ToolFlow"]:
        """Stop what runs when the block fails."""
        try:
            yield self
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """End every tool that still runs, and let none begin."""
        with self._lock:
            self._stopped = True
            for process in self._running:
                process.kill()

    def read_json(self, name: str) -> Any:
        """Return what the file ``name`` of the folder holds."""
        return json.loads((self.work / name).read_text())

    def run(self, step: Step) -> None:
        """Run ``step``, writing what its tool says to a log of the step's name.

        Raises:
            UserError: When it fails or writes none of its outputs; the log is copied beside the output folder.
        """
        program = sys.executable if step.tool == PYTHON else require_script(step.tool)
        log = self.work / f"{step.name}.log"
        with log.open("wb") as file:
            with self._lock:
                if self._stopped:
                    raise UserError(f"program {step.tool}", "was not started", "another program has failed before")
                process = subprocess.Popen(
                    [program, *step.arguments], cwd=self.work, stdout=file, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL
                )
                self._running.add(process)
            code = process.wait()
            with self._lock:
                self._running.discard(process)
                stopped = self._stopped
        if stopped:
            raise UserError(f"program {step.tool}", "was stopped", "another program has failed before")
        if code != 0:
            said = last_error(log.read_text(errors="replace"), code)
            raise UserError(f"program {step.tool}", f"failed: {said}", f"see {self._keep(log)}")
        for name in step.outputs:
            if not (self.work / name).is_file():
                raise UserError(f"program {step.tool}", f"wrote no {name}", f"see {self._keep(log)}")

    def _keep(self, log: Path) -> Path:
        self._out.parent.mkdir(parents=True, exist_ok=True)
        kept = self._out.parent / f"{self._out.name}.{log.name}"
        shutil.copyfile(log, kept)
        return kept


def last_error(log: str, code: int) -> str:
    """Return the last line of a tool's log that states an error, else the last line, else the exit code."""
    # Bambu asks for a report after it has said what is wrong.
    lines = [line.strip() for line in log.splitlines() if line.strip() and not line.startswith("Please report bugs")]
    errors = [line for line in lines if re.match(r"(\S+: )?(fatal )?error\b", line, re.IGNORECASE)]
    return (errors or lines or [f"exit code {code}"])[-1]
