"""`egru fuzz`: random models on random hardware against the reference."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from egru.output import CheckFailedError, print_json
from sw_model.errors import UserError

if TYPE_CHECKING:
    from egru.fuzzing import FuzzReport


class Compared(StrEnum):
    """Which hardware is compared."""

    RTL = "rtl"
    HLS = "hls"
    BOTH = "both"


def fuzz(
    seconds: Annotated[float, typer.Option(help="No configuration begins later than this.", min=1)] = 300.0,
    seed: Annotated[int, typer.Option(help="Of everything that is drawn.", min=0)] = 1,
    configurations: Annotated[int | None, typer.Option(help="Most configurations; no limit if not given.", min=1)] = None,
    backend: Annotated[Compared, typer.Option(help="Hardware to compare.")] = Compared.BOTH,
    jobs: Annotated[int, typer.Option(help="Processes side by side.", min=1)] = 2,
    shrink_seconds: Annotated[float, typer.Option(help="Time for making a failing case smaller.", min=0)] = 120.0,
    replay: Annotated[Path | None, typer.Option(help="A saved case: compare it again, and nothing else.")] = None,
    out: Annotated[Path, typer.Option(help="Folder for the cases that differ.")] = Path("runs/fuzz"),
    force: Annotated[bool, typer.Option("--force", help="The output folder may hold something.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Write the result as JSON.")] = False,
) -> None:
    """Draw models, hardware, stimuli and stalls, and compare all that computes the model with the reference. Exit code 1 at a mismatch."""
    from dataclasses import asdict

    from egru import fuzzing
    from hls_gen.backend import Backend

    backends = tuple(Backend) if backend is Compared.BOTH else (Backend(backend.value),)
    if replay is not None:
        counts, finding = fuzzing.replay(replay, backends)
        if finding:
            raise CheckFailedError(f"{finding.oracle} ({finding.kind}): {finding.message}")
        if not counts.configurations:
            raise UserError(f"case {replay}", f"cannot be said by --backend {backend.value}", "replay it with --backend rtl")
        if json:
            print_json(asdict(counts) | {"mismatches": 0})
        else:
            Console(markup=False).print(
                f"{replay}: {counts.steps} steps, {counts.events} events, no mismatch ({', '.join(counts.compared)})"
            )
        return
    settings = fuzzing.FuzzSettings(
        seconds=seconds, seed=seed, configurations=configurations, backends=backends, jobs=jobs, shrink_seconds=shrink_seconds
    )
    report = fuzzing.run_fuzz(settings, out, force=force)
    if json:
        print_json(report.to_json())
    else:
        Console(markup=False).print(_table(report))
    if report.saved:
        first = report.saved[0]
        raise CheckFailedError(f"{len(report.saved)} mismatches; the first, {first.finding.oracle}: egru fuzz --replay {first.folder}")


def _table(report: "FuzzReport") -> Table:
    counts = report.counts
    table = Table("what", "number", title=f"fuzzing, {report.seconds:.0f} s")
    for name in ("configurations", "builds", "steps", "events", "stalls", "saturations"):
        table.add_row(name, f"{getattr(counts, name):,}")
    for name, number in counts.compared.items():
        table.add_row(f"{name} = reference", f"{number:,}")
    for name, number in counts.refused.items():
        table.add_row(f"refused by {name}", f"{number:,}")
    table.add_row("mismatches", f"{len(report.saved):,}")
    return table
