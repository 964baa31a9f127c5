"""Trained models on the boards, from the artifact to a bitstream: ``python -m benchmarks.boards --model icebreaker=runs/model``.

For each board: the hardware that `hls_gen.fit` chooses for the model (``--lanes`` gives the lanes instead), the generated core against the
integer reference on held-out text (==, every event and logit), synthesis, place and route with several placer seeds, and the bitstream of
the fastest. The result file keeps the boards that are not run this time.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import BaseModel

from benchmarks.results_file import errors_to_exit_codes, read_results, write_results
from egru.artifacts import choose_tokens, deal_sequences
from egru.commands.hardware_options import parse_numbers
from egru.fitting import choose
from egru.output import print_json, progress_console
from egru.place_and_route import build
from hls_gen.board import Board, load_board
from hls_gen.board_flow import require_open_flow
from hls_gen.hardware_config import HardwareConfig
from hls_gen.project import write_project
from sim.equivalence import check_equivalence
from sw_model.errors import UserError
from sw_model.output_folder import write_whole
from sw_model.quantized_model import QuantizedModel

RESULT_FILE = Path(__file__).parent / "results" / "boards.json"
PAGE = Path("docs/boards_results.md")
SEQUENCES = 4

INTRODUCTION = """\
# Models on boards

A trained, pruned and quantised model for each board, with the hardware that `egru` chooses for it (`--fit`; where lanes were given, to keep
routing short, the table says so), measured by `python -m benchmarks.boards`, which also writes this page from
`benchmarks/results/boards.json`.
Every event and logit of the generated core was equal to the reference in RTL simulation, on held-out text where the model has a vocabulary.
Resources and clock are those after place and route with open tools, the clock the median of the placer seeds; no bitstream has been run on
a board here.
Block RAMs are of 18 kbit, those of the iCE40 of 4 kbit.

"""
HEADER = (
    "board",
    "neurons",
    "lanes",
    "steps compared",
    "LUT",
    "FF",
    "block RAM",
    "DSP",
    "clock MHz (target)",
    "µs per step",
    "bitstream bytes",
)


class BoardResult(BaseModel):
    """One board.

    Attributes:
        board: Its name.
        title: For people.
        model_hash: Of the artifact.
        neurons: Of each layer.
        tokens: Symbols.
        hardware: What was chosen.
        lanes: Lanes of all engines and the decoder together.
        lanes_given: Whether they were given, and not chosen.
        exact: Whether every value was equal to the reference; a result is only written when it was.
        stimulus: What the core was shown.
        steps: Time steps compared.
        values: Values compared.
        cycles_per_step: Clock cycles of a step in that simulation.
        target_mhz: The clock that the board gives the core.
        fmax_mhz: Median clock of the seeds.
        fmax_mhz_per_seed: Clock of each.
        timing_met: Whether the bitstream's routing reaches the target.
        lut: After place and route, as the next four; in the board's units.
        ff: Flip-flops.
        bram: Block RAMs.
        dsp: Multipliers.
        spram: Large RAMs.
        budget: What the board has of each.
        bitstream_bytes: Size of the bitstream.
        seconds: Wall-clock time of each stage.
        versions: The tools'.
    """

    board: str
    title: str
    model_hash: str
    neurons: list[int]
    tokens: int
    hardware: dict[str, Any]
    lanes: int
    lanes_given: bool
    exact: bool
    stimulus: str
    steps: int
    values: int
    cycles_per_step: float
    target_mhz: float
    fmax_mhz: float
    fmax_mhz_per_seed: dict[int, float]
    timing_met: bool
    lut: int
    ff: int
    bram: int
    dsp: int
    spram: int
    budget: dict[str, int]
    bitstream_bytes: int
    seconds: dict[str, float]
    versions: dict[str, str]


class Results(BaseModel):
    """The result file."""

    boards: list[BoardResult] = []


def measure(
    board: Board, model: QuantizedModel, seeds: Sequence[int], steps: int, work: Path, base: HardwareConfig | None = None
) -> BoardResult:
    """Take ``model`` to a bitstream for ``board``.

    Args:
        board: The board.
        model: A model that fits.
        seeds: Of the placer.
        steps: Time steps to compare in simulation.
        work: Folder for generated sources and builds.
        base: Fields that are set in it are not chosen.

    Raises:
        UserError: When the model does not fit the board, or the text is too short.
        BenchError: When the core differs from the reference.
    """
    tokens, stimulus, _ = choose_tokens(model, steps, 1, None)
    sequences = deal_sequences(tokens, steps, SEQUENCES)
    chosen = choose(model, board, base or HardwareConfig())
    generated = work / board.name / "rtl"
    write_project(model, chosen.config, generated, board=board, force=True)
    compared = check_equivalence(generated, sequences)
    built = build(generated, board, work / board.name / "build", seeds=seeds, force=True)
    return BoardResult(
        board=board.name,
        title=board.title,
        model_hash=model.content_hash(),
        neurons=[layer.neurons for layer in model.layers],
        tokens=model.tokens,
        hardware=chosen.config.model_dump(mode="json"),
        lanes=compared.lanes,
        lanes_given=base is not None,
        exact=compared.mismatches == 0,
        stimulus=stimulus,
        steps=compared.steps,
        values=compared.values,
        cycles_per_step=compared.cycles / compared.steps,
        **{name: getattr(built, name) for name in ("target_mhz", "fmax_mhz", "fmax_mhz_per_seed", "timing_met")},
        **{name: getattr(built, name) for name in board.budget.model_dump()},
        budget=board.budget.model_dump(),
        bitstream_bytes=built.bitstream_bytes,
        seconds={"simulation": round(sum(compared.seconds.values()), 2), **built.seconds},
        versions=built.versions,
    )


def page(results: Results) -> str:
    """Return the results as Markdown."""
    rows = [HEADER, ("---",) * len(HEADER), *map(_row, results.boards)]
    return INTRODUCTION + "".join(f"| {' | '.join(row)} |\n" for row in rows)


def _row(result: BoardResult) -> tuple[str, ...]:
    clock = min(result.fmax_mhz, result.target_mhz)
    return (
        result.title,
        ", ".join(map(str, result.neurons)),
        f"{result.lanes} (given)" if result.lanes_given else str(result.lanes),
        f"{result.steps:,}",
        *(f"{getattr(result, name):,} of {result.budget[name]:,}" for name in ("lut", "ff", "bram", "dsp")),
        f"{result.fmax_mhz:.1f} ({result.target_mhz:g})",
        f"{result.cycles_per_step / clock:,.1f}",
        f"{result.bitstream_bytes:,}",
    )


def parse_models(given: Iterable[str]) -> dict[str, Path]:
    """Read ``BOARD=FOLDER`` pairs.

    Raises:
        UserError: When one is something else, a board occurs twice, is not known or has no open flow.
    """
    models = {name: Path(folder) for name, folder in _pairs("--model", given, "icebreaker=runs/model").items()}
    if not models:
        raise UserError("--model", "is missing", "give e.g. --model icebreaker=runs/model")
    return models


def parse_lanes(given: Iterable[str]) -> dict[str, HardwareConfig]:
    """Read ``BOARD=LANES`` pairs.

    Raises:
        UserError: When one is something else, a board occurs twice, is not known or has no open flow.
    """
    pairs = _pairs("--lanes", given, "ulx3s_85f=4,8,2")
    return {name: HardwareConfig.model_validate({"lanes": parse_numbers("--lanes", lanes)}) for name, lanes in pairs.items()}


def _pairs(option: str, given: Iterable[str], example: str) -> dict[str, str]:
    pairs: dict[str, str] = {}
    for pair in given:
        name, sign, value = pair.partition("=")
        if not (name and sign and value):
            raise UserError(f"{option} {pair}", f"is not of the form {example}", f"give e.g. {option} {example}")
        if name in pairs:
            raise UserError(f"{option} {pair}", f"names {name} again", "name a board once")
        require_open_flow(load_board(name))
        pairs[name] = value
    return pairs


def run(
    model: Annotated[list[str] | None, typer.Option(help="BOARD=FOLDER that `egru export` wrote; repeatable.")] = None,
    lanes: Annotated[list[str] | None, typer.Option(help="BOARD=4,8,2: lanes that are not chosen; repeatable.")] = None,
    seeds: Annotated[int, typer.Option(help="Placer seeds.", min=1)] = 3,
    steps: Annotated[int, typer.Option(help="Steps compared in simulation.", min=SEQUENCES)] = 500,
    out: Annotated[Path, typer.Option(help="Result file.")] = RESULT_FILE,
    markdown: Annotated[Path, typer.Option(help="Page that is made of it.")] = PAGE,
    work: Annotated[Path, typer.Option(help="Folder for generated sources and builds.")] = Path("runs/boards"),
    as_json: Annotated[bool, typer.Option("--json", help="Write the figures to stdout as well.")] = False,
) -> None:
    """Build the models for their boards and write what came out into the result file and the page."""
    with errors_to_exit_codes():
        bases = parse_lanes(lanes or ())
        for name, folder in parse_models(model or ()).items():
            found = measure(load_board(name), QuantizedModel.load(folder), range(1, seeds + 1), steps, work, bases.get(name))
            known = read_results(out, Results) or Results()
            rows = sorted([*(row for row in known.boards if row.board != name), found], key=lambda row: row.board)
            write_results(Results(boards=rows), out)
            write_whole(markdown, page(Results(boards=rows)))
            words = f"{name}: {found.lanes} lanes, {found.lut} LUT, {found.bram} block RAMs, {found.fmax_mhz:.1f} MHz"
            progress_console.print(words, soft_wrap=True, highlight=False)
            if as_json:
                print_json(found.model_dump(mode="json"))


if __name__ == "__main__":
    typer.run(run)
