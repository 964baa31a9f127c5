"""The RTL and the HLS backend side by side: ``python -m benchmarks.hls --model runs/model --lanes 2,2,1``.

One trained model on one hardware configuration, both backends: simulation against the reference on the same held-out text (==, every event
and logit), synthesis, place and route with several placer seeds. HLS goes through Bambu, which has to be on PATH. With ``--csim-model`` the
C simulation of another model is timed: compiling it, and its steps per second of one core.
"""

import shutil
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from pydantic import BaseModel

from benchmarks.results_file import errors_to_exit_codes, read_results, write_results
from egru.artifacts import choose_tokens, deal_sequences
from egru.commands.hardware_options import parse_numbers
from egru.hls_build import SEED, SEQUENCES, STEPS, build_hls
from egru.output import print_json
from egru.place_and_route import BuildResult, build
from hls_gen.backend import Backend
from hls_gen.board import Board, load_board
from hls_gen.hardware_config import HardwareConfig
from hls_gen.hls_project import write_hls_project
from hls_gen.project import write_project
from sim.csim import CompiledModel, compiled_library, find_compiler
from sim.equivalence import EquivalenceResult, check_equivalence
from sw_model.output_folder import write_whole
from sw_model.quantized_model import QuantizedModel

RESULT_FILE = Path(__file__).parent / "results" / "hls.json"
PAGE = Path("docs/hls_results.md")
DEFAULT_BOARD = "ulx3s_85f"
#: Steps of the C simulation that are timed, and those before that warm up.
TIMED_STEPS, WARM_STEPS = 20_000, 500


class BackendResult(BaseModel):
    """One backend.

    Attributes:
        backend: ``rtl`` or ``hls``.
        compiler: What made the Verilog: ``hand-written``, or the HLS compiler.
        version: The compiler's; of the package that synthesised where there is none.
        lut4: After place and route, with the board's serial link, as the next three.
        ff: Flip-flops.
        bram: Block RAMs.
        dsp: Multipliers.
        fmax_mhz: Median clock of the placer seeds.
        fmax_mhz_per_seed: Clock of each.
        steps: Time steps compared.
        cycles_per_step: Clock cycles of a step in that simulation.
        mismatches: Values that differed from the reference.
    """

    backend: str
    compiler: str
    version: str
    lut4: int
    ff: int
    bram: int
    dsp: int
    fmax_mhz: float
    fmax_mhz_per_seed: dict[int, float]
    steps: int
    cycles_per_step: float
    mismatches: int


class CsimResult(BaseModel):
    """C simulation on one core.

    Attributes:
        model_hash: Of the artifact.
        neurons: Of each layer.
        lanes: Of each block.
        compiler: Its first line about itself.
        compile_seconds: Wall-clock time to compile the library.
        steps: Steps that were timed.
        steps_per_second: Of processor time.
    """

    model_hash: str
    neurons: list[int]
    lanes: list[int]
    compiler: str
    compile_seconds: float
    steps: int
    steps_per_second: float


class Results(BaseModel):
    """The result file.

    Attributes:
        board: What both were built for.
        target_mhz: The clock asked for.
        model_hash: Of the artifact.
        neurons: Of each layer.
        weight_bits: Of each layer.
        lanes: Of each block.
        stimulus: What both were shown.
        backends: RTL, then HLS.
        csim: The C simulation's speed; None when not measured.
    """

    board: str
    target_mhz: float
    model_hash: str
    neurons: list[int]
    weight_bits: list[int]
    lanes: list[int]
    stimulus: str
    backends: list[BackendResult]
    csim: CsimResult | None = None


def measure(model: QuantizedModel, hardware: HardwareConfig, board: Board, seeds: Sequence[int], work: Path) -> Results:
    """Take ``model`` through both backends.

    Args:
        model: A small trained model.
        hardware: One configuration for both.
        board: An ECP5 board.
        seeds: Of the placer.
        work: Folder for sources and builds.

    Raises:
        UserError: When the model does not fit, or a tool is missing.
        BenchError: When a core differs from the reference.
    """
    tokens, stimulus, _ = choose_tokens(model, STEPS, SEED, None)
    rtl, hls = work / "rtl", work / "hls"
    project = write_project(model, hardware, rtl, board=board, force=True)
    compared = check_equivalence(rtl, deal_sequences(tokens, STEPS, SEQUENCES), seed=SEED)
    built = build(rtl, board, work / "rtl_build", seeds=seeds, force=True)
    write_hls_project(model, hardware, hls, force=True)
    through_hls = build_hls(hls, board, work / "hls_build", seeds=tuple(seeds), force=True)
    compiler, _, version = through_hls.compiler.partition(" ")
    return Results(
        board=board.name,
        target_mhz=built.target_mhz,
        model_hash=model.content_hash(),
        neurons=[layer.neurons for layer in model.layers],
        weight_bits=[layer.weight_bits for layer in model.layers],
        lanes=[block.lanes for block in project.generated.plan.blocks],
        stimulus=stimulus,
        backends=[
            _row(Backend.RTL, "hand-written", project.manifest.generator.version, built, compared),
            _row(Backend.HLS, compiler, version, through_hls.build, through_hls.equivalence),
        ],
    )


def _row(backend: Backend, compiler: str, version: str, built: BuildResult, compared: EquivalenceResult) -> BackendResult:
    return BackendResult(
        backend=backend.value,
        compiler=compiler,
        version=version,
        lut4=built.lut,
        ff=built.ff,
        bram=built.bram,
        dsp=built.dsp,
        fmax_mhz=built.fmax_mhz,
        fmax_mhz_per_seed=built.fmax_mhz_per_seed,
        steps=compared.steps,
        cycles_per_step=compared.cycles_per_step,
        mismatches=compared.mismatches,
    )


def measure_csim(model: QuantizedModel, hardware: HardwareConfig, work: Path) -> CsimResult:
    """Time the C simulation of ``model``: its compilation in an empty cache, and its steps.

    Raises:
        UserError: When a compiler or the headers are missing.
    """
    folder, cache = work / "csim", work / "csim_cache"
    project = write_hls_project(model, hardware, folder, force=True)
    shutil.rmtree(cache, ignore_errors=True)
    started = time.monotonic()
    compiled_library(folder, cache=cache)
    compile_seconds = time.monotonic() - started
    tokens, _, _ = choose_tokens(model, TIMED_STEPS + WARM_STEPS, SEED, None)
    tokens = tokens[: TIMED_STEPS + WARM_STEPS]
    core = CompiledModel(folder, cache=cache)
    core.predict(tokens[:WARM_STEPS])
    started = time.process_time()
    core.predict(tokens[WARM_STEPS:])
    seconds = time.process_time() - started
    return CsimResult(
        model_hash=model.content_hash(),
        neurons=[layer.neurons for layer in model.layers],
        lanes=[block.lanes for block in project.generated.plan.blocks],
        compiler=find_compiler().version.splitlines()[0],
        compile_seconds=round(compile_seconds, 2),
        steps=len(tokens) - WARM_STEPS,
        steps_per_second=round((len(tokens) - WARM_STEPS) / seconds, 1),
    )


def table(results: Results) -> str:
    """Return the comparison as a Markdown table."""
    rtl, hls = results.backends
    figures = [
        ("LUT4", f"{rtl.lut4:,}", f"{hls.lut4:,}", hls.lut4 / rtl.lut4),
        ("FF", f"{rtl.ff:,}", f"{hls.ff:,}", hls.ff / rtl.ff),
        ("block RAM", f"{rtl.bram:,}", f"{hls.bram:,}", hls.bram / rtl.bram),
        ("DSP", f"{rtl.dsp:,}", f"{hls.dsp:,}", hls.dsp / rtl.dsp),
        ("clock, MHz", f"{rtl.fmax_mhz:.1f}", f"{hls.fmax_mhz:.1f}", hls.fmax_mhz / rtl.fmax_mhz),
        ("cycles per step", f"{rtl.cycles_per_step:.1f}", f"{hls.cycles_per_step:.1f}", hls.cycles_per_step / rtl.cycles_per_step),
        ("mismatches", str(rtl.mismatches), str(hls.mismatches), None),
    ]
    lines = [f"| | hand-written RTL | HLS, {hls.compiler} {hls.version} | HLS / RTL |", "|---|---|---|---|"]
    lines += [f"| {name} | {one} | {other} | {'' if ratio is None else f'{ratio:.2f}'} |" for name, one, other, ratio in figures]
    return "\n".join(lines) + "\n"


def page(results: Results) -> str:
    """Return the results as Markdown."""
    rtl = results.backends[0]
    what = f"Layers of {_numbers(results.neurons)} neurons, {results.weight_bits[0]}-bit weights, lanes {_numbers(results.lanes)} in both"
    lines = [
        "# RTL and HLS side by side",
        "",
        f"{what}, on {results.board} at {results.target_mhz:g} MHz:",
        f"{rtl.steps} steps of {results.stimulus}, every event and logit compared with ==, then place and route, serial link included; the",
        f"clock is the median of {len(rtl.fmax_mhz_per_seed)} placer seed(s). Measured by `make bench-hls`, which writes this page from",
        "`benchmarks/results/hls.json`.",
        "",
        table(results),
        REASONS.rstrip(),
        "",
    ]
    if results.csim:
        csim = results.csim
        lines += [
            "## C simulation",
            "",
            f"Layers of {_numbers(csim.neurons)} neurons, lanes {_numbers(csim.lanes)}: compiled in {csim.compile_seconds:.1f} s, then",
            f"{csim.steps_per_second:,.0f} steps a second of one core, over {csim.steps:,} steps ({csim.compiler}).",
            "",
        ]
    return "\n".join(lines)


def _numbers(values: Sequence[int]) -> str:
    return ", ".join(map(str, values))


REASONS = """\
What HLS gives away, and why:

* *Cycles.* Bambu 2024.10 does not pipeline loops. A MAC of the walk is a pass through the states of a loop (queue, table, multiplication,
  sum read and written) instead of one cycle, and so is every row of the update and every logit. Processes still run side by side, so lanes
  are free-running, and layers work on different steps.
* *Logic.* Every process has a state machine, and registers between its states. Bambu keeps C's integers at 32 bits where it cannot prove
  less, in comparisons and sums above all, and gives each lane's neuron of an update unit operators of its own; the hand-written unit is one
  pipeline for all its lanes.
* *Clock.* The longest path lies in one state of a process, which Bambu plans for a device of AMD's: the only ECP5 that it knows comes with
  the vendor's macros. It plans with .6 of the board's period, so that routing finds room: more states, for a clock that the board meets.

Vitis HLS pipelines the same loops (`II = 1` is asked for); it was not run here.

"""


def run(
    model: Annotated[Path, typer.Option(help="Small model for place and route, as `egru export` wrote it.")],
    lanes: Annotated[str, typer.Option(help="Its lanes, per engine and decoder.")] = "2,2,1",
    csim_model: Annotated[Path | None, typer.Option(help="Model whose C simulation is timed.")] = None,
    csim_lanes: Annotated[str, typer.Option(help="Its lanes.")] = "2,4,1",
    board: Annotated[str, typer.Option(help="An ECP5 board.")] = DEFAULT_BOARD,
    seeds: Annotated[int, typer.Option(help="Placer seeds.", min=1)] = 3,
    csim_only: Annotated[bool, typer.Option("--csim-only", help="Measure the C simulation, keep the rest.")] = False,
    out: Annotated[Path, typer.Option(help="Result file.")] = RESULT_FILE,
    markdown: Annotated[Path, typer.Option(help="Page that is made of it.")] = PAGE,
    work: Annotated[Path, typer.Option(help="Folder for generated sources and builds.")] = Path("runs/hls_benchmark"),
    as_json: Annotated[bool, typer.Option("--json", help="Write the figures to stdout as well.")] = False,
) -> None:
    """Measure both backends and write what came out into the result file and the page."""
    with errors_to_exit_codes():
        known = read_results(out, Results)
        results = known if csim_only and known else None
        if results is None:
            results = measure(QuantizedModel.load(model), _hardware("--lanes", lanes), load_board(board), range(1, seeds + 1), work)
            results.csim = known.csim if known else None
        if csim_model is not None:
            results.csim = measure_csim(QuantizedModel.load(csim_model), _hardware("--csim-lanes", csim_lanes), work)
        write_results(results, out)
        write_whole(markdown, page(results))
        if as_json:
            print_json(results.model_dump(mode="json"))


def _hardware(option: str, lanes: str) -> HardwareConfig:
    return HardwareConfig.model_validate({"lanes": parse_numbers(option, lanes)})


if __name__ == "__main__":
    typer.run(run)
