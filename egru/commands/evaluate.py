"""`egru evaluate`: quality, event density and MACs of a checkpoint or a model."""

from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from rich.console import Console
from rich.table import Table

from egru.output import print_json, progress_bar


def evaluate(
    artifact: Annotated[Path, typer.Argument(help="Checkpoint or model: a folder that `egru train`, `prune` or `export` wrote.")],
    data: Annotated[str | None, typer.Option(help="What the network was trained on; the embedded one if not given.")] = None,
    split: Annotated[Literal["train", "valid", "test"], typer.Option(help="The part of the data that is measured.")] = "test",
    streams: Annotated[int, typer.Option(min=1, help="Parts of the split that are read side by side.")] = 16,
    jobs: Annotated[
        int, typer.Option(min=1, help="Cores for a quantised network: streams are dealt over threads, with the same result for any number.")
    ] = 1,
    digest: Annotated[
        bool, typer.Option("--digest", help="Show an SHA-256 over all events and logits; for a text --streams changes it.")
    ] = False,
    integer: Annotated[
        bool, typer.Option("--integer/--fake-quantised", help="Of a quantised checkpoint: as integers, or as it is trained. Figures agree.")
    ] = True,
    json: Annotated[bool, typer.Option("--json", help="Write the result as JSON.")] = False,
) -> None:
    """Measure quality beside a simple baseline, event density, and MACs per step."""
    from egru.evaluation import EvaluationSettings, evaluate_artifact

    with progress_bar() as bar:
        task = bar.add_task(f"evaluating {artifact}", total=None)
        report = evaluate_artifact(
            artifact,
            EvaluationSettings(data, split, streams, jobs, digest, integer),
            lambda symbols, total: bar.update(task, advance=symbols, total=total),
        )
    if json:
        print_json(report)
        return
    console = Console(markup=False)
    console.print(_sequence_table(artifact, report) if "sequences" in report else _quality_table(artifact, report))
    if report["macs_per_step"] is None:
        console.print("MACs are counted for quantised networks.")
    else:
        console.print(_macs_table(report["macs_per_step"]))


def _quality_table(artifact: Path, report: dict[str, Any]) -> Table:
    table = Table("what", "measured", title=f"{artifact} ({report['kind']}) on the {report['split']} split of {report['text']}")
    baseline = report["baseline"]
    table.add_row("symbols predicted", f"{report['symbols']:,}")
    for name in ("bits_per_symbol", "perplexity"):
        table.add_row(name.replace("_", " "), f"{report[name]:.3f}")
    table.add_row(f"{baseline['order']}-gram baseline, bits per symbol", f"{baseline['bits_per_symbol']:.3f}")
    table.add_row("event density", f"{report['event_density']:.3f}")
    table.add_row("event density per layer", ", ".join(f"{density:.3f}" for density in report["event_density_per_layer"]))
    table.add_row("weight density", f"{report['weight_density']:.3f}")
    if report["digest"] is not None:
        table.add_row("SHA-256 of all events and logits", report["digest"])
    return table


def _sequence_table(artifact: Path, report: dict[str, Any]) -> Table:
    table = Table("what", "measured", title=f"{artifact} ({report['kind']}) on the {report['split']} split of {report['data']}")
    table.add_row("sequences, frames", f"{report['sequences']:,}, {report['frames']:,}")
    if report["squared_error"] is None:
        table.add_row("accuracy", f"{report['accuracy']:.4f}")
        table.add_row("cross entropy, bits", f"{report['cross_entropy_bits']:.3f}")
        table.add_row("linear baseline, accuracy", f"{report['linear_baseline']:.4f}")
    else:
        for target, error in report["squared_error"].items():
            table.add_row(f"squared error of {target}, in its variance", f"{error:.4f}")
        table.add_row("linear baseline, mean squared error", f"{report['linear_baseline']:.4f}")
    table.add_row("input event density", f"{report['input_event_density']:.3f}")
    table.add_row("event density", f"{report['event_density']:.3f}")
    table.add_row("event density per layer", ", ".join(f"{density:.3f}" for density in report["event_density_per_layer"]))
    table.add_row("weight density", f"{report['weight_density']:.3f}")
    table.add_row("saturated inputs", f"{report['saturated_inputs']:,}")
    if report["digest"] is not None:
        table.add_row("SHA-256 of all events and logits", report["digest"])
    return table


def _macs_table(macs: dict[str, dict[str, float | None]]) -> Table:
    table = Table("MACs per step", "dense", "weight-sparse", "weight- and event-sparse", "as a share of dense x densities")
    for group, counts in macs.items():
        figures = [f"{counts[name]:,.0f}" for name in ("dense", "weight_sparse", "event_sparse")]
        ratio = counts["law_ratio"]
        table.add_row(group.replace("_", " "), *figures, "-" if ratio is None else f"{ratio:.3f}")
    return table
