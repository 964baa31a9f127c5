"""`egru sweep`: a grid of points, each from training to a board's figures, and one table of what came out."""

import os
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Column, Table

from egru.output import print_json
from sw_model.errors import UserError

if TYPE_CHECKING:
    from egru.sweep.cache import Cache
    from egru.sweep.engine import Engine

FIT = "fit"


class EngineName(StrEnum):
    """Where stages are computed."""

    LOCAL = "local"
    RAY = "ray"


def sweep(
    config: Annotated[Path | None, typer.Argument(help="TOML file; the demo's recipe with the axes given here if there is none.")] = None,
    sparsity: Annotated[str | None, typer.Option(help="Shares of zero weights, e.g. 0,0.5,0.9.")] = None,
    method: Annotated[str | None, typer.Option(help="Pruning methods, e.g. global,layer.")] = None,
    weight_bits: Annotated[str | None, typer.Option(help="Bits of a weight, e.g. 4,8.")] = None,
    hidden_sizes: Annotated[str | None, typer.Option(help="Neurons of each layer, e.g. 16x32,48x64.")] = None,
    lanes: Annotated[str | None, typer.Option(help="Lanes of each layer and the decoder, e.g. 2x2x1,4x4x2; or fit.")] = None,
    seed: Annotated[str | None, typer.Option(help="Seeds of training, e.g. 1,2,3.")] = None,
    board: Annotated[str | None, typer.Option(help="Folders under boards/, e.g. ulx3s_85f,tang_nano_20k.")] = None,
    title: Annotated[str | None, typer.Option(help="What the sweep is called.")] = None,
    no_build: Annotated[bool, typer.Option("--no-build", help="Stop after the proof: no synthesis.")] = False,
    out: Annotated[Path, typer.Option(help="Folder of the results.")] = Path("runs/sweep"),
    cache: Annotated[Path | None, typer.Option(help="Folder of finished stages, for several sweeps; in --out if not given.")] = None,
    engine: Annotated[EngineName, typer.Option(help="Processes of this machine, or a Ray cluster.")] = EngineName.LOCAL,
    address: Annotated[str | None, typer.Option(help="Of the Ray cluster.")] = None,
    jobs: Annotated[int | None, typer.Option(help="Stages at a time; as many as there are cores if not given.", min=1)] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be computed.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace what the folder of the results holds.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Write the table as JSON.")] = False,
) -> None:
    """Compare across sparsity levels: train, prune, quantise, generate, prove and build every point of a grid; what was computed is kept.

    Axes that are given replace those of the file. A sweep that was stopped goes on when it is given again.
    """
    from egru.sweep.cache import Cache
    from egru.sweep.request import answered, request_digest
    from egru.sweep.table import POINTS_FILE

    if address is not None and engine is EngineName.LOCAL:
        raise UserError(f"--address {address}", "has no meaning for the processes of this machine", "give --engine ray, or leave it out")
    axes = {
        "sparsity": _list("--sparsity", sparsity, float),
        "method": _list("--method", method, str),
        "weight_bits": _list("--weight-bits", weight_bits, int),
        "hidden_sizes": _list("--hidden-sizes", hidden_sizes, _sizes),
        "lanes": _list("--lanes", lanes, _lanes),
        "seed": _list("--seed", seed, int),
        "board": _list("--board", board, str),
    }
    axes = {name: values for name, values in axes.items() if values is not None}
    others: dict[str, Any] = {} if title is None else {"title": title}
    others |= {"with_build": False} if no_build else {}
    request = request_digest(config, {**axes, **others})
    finished = answered(out, request)
    if finished is not None:
        if json:
            print_json([] if dry_run else finished)
            return
        Console(markup=False).print(f"all {len(finished['rows'])} points are done, nothing to do: {out / POINTS_FILE}", soft_wrap=True)
        return

    # From here on it may take long: this imports what trains.
    from egru.sweep.grid import load_sweep
    from egru.sweep.run import Sweep

    kept = Cache(cache or out / "cache")
    planned = Sweep(load_sweep(config, axes, others), out, kept, request)
    if dry_run:
        _show_plan(planned.plan(), as_json=json)
        return
    results = planned.run(_engine(engine, kept, address, jobs), force=force)
    failed = [row for row in results.rows if row.status == "failed"]
    if json:
        print_json(results.model_dump(mode="json"))
    else:
        console = Console(markup=False, highlight=False)
        for row in failed:
            console.print(f"{row.name} failed in {row.failed_stage}: {row.reason}", soft_wrap=True)
        console.print(f"{len(results.rows) - len(failed)} points done, {len(failed)} failed: {out / POINTS_FILE}", soft_wrap=True)
    if failed:
        raise typer.Exit(1)


def _engine(name: EngineName, cache: "Cache", address: str | None, jobs: int | None) -> "Engine":
    from egru.sweep.engine import LocalEngine, RayEngine

    return RayEngine(cache, address, jobs) if name is EngineName.RAY else LocalEngine(cache, jobs or os.cpu_count() or 1)


def _list(option: str, text: str | None, read: Callable[[str], Any]) -> list[Any] | None:
    if text is None:
        return None
    try:
        return [read(part) for part in text.split(",")] if text else []
    except ValueError:
        raise UserError(f"{option} {text}", "is not a list with commas", "see its example in egru sweep --help") from None


def _sizes(text: str) -> list[int]:
    return [int(part) for part in text.split("x")]


def _lanes(text: str) -> list[int] | str:
    return text if text == FIT else _sizes(text)


def _show_plan(stages: list[dict[str, Any]], *, as_json: bool) -> None:
    if as_json:
        print_json(stages)
        return
    table = Table("stage", "key", Column("first needed by", overflow="fold"), "")
    for stage in stages:
        table.add_row(stage["stage"], (stage["key"] or "after fit")[:12], stage["point"], "cached" if stage["cached"] else "to run")
    console = Console(markup=False, highlight=False)
    console.print(table)
    cached = sum(stage["cached"] for stage in stages)
    console.print(f"{len(stages) - cached} stages to run, {cached} cached")
