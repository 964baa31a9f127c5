"""The page of the example sweep: ``python -m benchmarks.sparsity_sweep --report docs``.

The sweep itself is a user's: ``egru sweep examples/sparsity_sweep/sweep.toml --out runs/sparsity_sweep``. ``--take`` copies what its report
is made of, the table and the models, beside the sweep's description; page, figures and the report itself are made of that copy alone.
"""

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from benchmarks.markdown import markdown_table
from benchmarks.results_file import errors_to_exit_codes
from egru.sweep.table import POINTS_FILE, SWEEP_FILE, BuildFigures, ModelFigures, Row, SimulationFigures
from egru.sweep_report.page import render_page
from egru.sweep_report.reading import Sweep, read_sweep
from egru.sweep_report.report import collect
from egru.sweep_report.svg import write_svgs
from sw_model.errors import UserError
from sw_model.output_folder import staged_folder, write_whole

RESULTS = Path("examples/sparsity_sweep/results")
PAGE, FIGURES, REPORT = "sparsity_sweep.md", "sparsity_sweep", "sparsity_sweep.html"
#: Of the figures that `write_svgs` makes, those on the page, with what they show.
SHOWN = {
    "resources": "Resources against sparsity, as shares of each board; filled after place and route, hollow estimated.",
    "cycles": "Cycles per step against what both sparsities leave of the dense MACs.",
    "occupancy": "Where the lanes' time goes.",
}

INTRODUCTION = """\
# Six sparsities on three boards

What pruning buys on a board: one network on CPython's own reference text, pruned to six sparsities, quantised, generated, simulated
against the reference and taken to three boards. Lanes and everything else of the hardware are the same in all rows, so what differs is
the sparsity. Made anew by

```
egru sweep examples/sparsity_sweep/sweep.toml --out runs/sparsity_sweep
python -m benchmarks.sparsity_sweep --take runs/sparsity_sweep --report docs
```

The same as an interactive page, with every number: [sparsity_sweep.html](sparsity_sweep.html) (save it and open it; it needs no network).

"""

READING = """\

Quality is of the quantised model on held-out text, less is better; weight density is of the integers, so it can lie below what was asked
for. *Predicted* is by the cycle model. *Exact* counts the values of the RTL that were compared with the reference by `==`.

"""

BOARDS = """\
## On the boards

The clock is the median of three placer seeds, with each seed's beside it. Steps per second are the clock that the board is given ÷ cycles
per step. Arty A7-100T is built by Vivado alone: its rows are yosys' synthesis, an estimate without a clock.

"""


def run(
    take: Annotated[Path | None, typer.Option(help="Folder of the finished sweep: copy what the report is made of.")] = None,
    report: Annotated[Path | None, typer.Option(help="Folder for the page, its figures and the report.")] = None,
    results: Annotated[Path, typer.Option(help="Where that copy lies.")] = RESULTS,
) -> None:
    """Keep the results of the example sweep, and make its page."""
    with errors_to_exit_codes():
        if take is None and report is None:
            raise UserError("the command line", "asks for nothing", "give --take or --report")
        if take is not None:
            keep(take, results)
        if report is not None:
            write_report(read_sweep(results), report)


def keep(source: Path, results: Path) -> None:
    """Copy table and models of the sweep in ``source`` to ``results``; replaces what is there.

    Raises:
        UserError: When a point of it is not done.
    """
    rows = read_sweep(source).results.rows
    for row in rows:
        if row.status != "done":
            raise UserError(f"point {row.name} in {source}", f"is {row.status}", "run the sweep to its end first")
    with staged_folder(results, force=True) as staging:
        for file in (SWEEP_FILE, POINTS_FILE):
            shutil.copy(source / file, staging / file)
        for folder in {Path(row.artifact).parent for row in rows if row.artifact}:
            shutil.copytree(source / folder, staging / folder)


def write_report(sweep: Sweep, folder: Path) -> None:
    """Write page, figures and report into ``folder``."""
    report = collect([sweep])
    write_svgs(report, folder / FIGURES, force=True)
    write_whole(folder / REPORT, render_page(report))
    write_whole(folder / PAGE, page(sweep.results.rows))


def page(rows: Sequence[Row]) -> str:
    """Return the results as Markdown."""
    done = [(row, *measured(row)) for row in rows]
    first_board = done[0][0].point.board
    quality = done[0][1].metric
    header = ["weight sparsity", quality, "weight density", "events per neuron and step", "MACs per step", "cycles per step", "predicted"]
    networks = markdown_table(
        [*header, "exact"],
        (
            (
                f"{100 * row.point.sparsity:g} %",
                f"{model.quality:.3f}",
                f"{100 * model.weight_density:.1f} %",
                f"{model.event_density:.3f}",
                f"{simulation.macs_per_step:.0f}",
                f"{simulation.cycles_per_step:.1f}",
                f"{simulation.predicted_cycles_per_step:.1f}",
                f"{simulation.values - simulation.mismatches:,} of {simulation.values:,}",
            )
            for row, model, simulation, _ in done
            if row.point.board == first_board
        ),
    )
    boards = markdown_table(
        ["board", "weight sparsity", "LUT", "FF", "block RAM", "DSP", "clock", "steps per second"],
        (
            (
                str(row.point.board),
                f"{100 * row.point.sparsity:g} %",
                *(f"{amount:,}" for amount in (build.lut, build.ff, build.bram, build.dsp)),
                _clock(build),
                "-" if build.steps_per_second is None else f"{build.steps_per_second:,.0f}",
            )
            for row, _, _, build in sorted(done, key=lambda one: str(one[0].point.board))
        ),
    )
    figures = "".join(f"\n![{words}]({FIGURES}/{name}.svg)\n\n{words}\n" for name, words in SHOWN.items())
    return INTRODUCTION + networks + READING + BOARDS + boards + figures


def measured(row: Row) -> tuple[ModelFigures, SimulationFigures, BuildFigures]:
    """Return all that was measured of a point.

    Raises:
        UserError: When it is not done.
    """
    if row.model is None or row.simulation is None or row.build is None:
        raise UserError(f"point {row.name}", f"is {row.status}", "run the sweep to its end first")
    return row.model, row.simulation, row.build


def _clock(build: BuildFigures) -> str:
    if build.clock_mhz is None:
        return "estimate"
    seeds = ", ".join(f"{clock:.1f}" for clock in build.clock_mhz_per_seed.values())
    return f"{build.clock_mhz:.1f} MHz ({seeds})"


if __name__ == "__main__":
    typer.run(run)
