"""The figures of the language model runs: what each shows, as numbers, and how all are drawn."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from benchmarks.paper_results import DATASET_NAMES, Dataset, Results, Run, Series, bits_words, percent, series
from egru.drawing import draw_svg

MACS = "MACs per token, with decoder"
WEIGHT_SPARSITY = "weight sparsity"
EVENTS = "events per neuron and step"
PERPLEXITY = "test perplexity"
#: What a weight decay sweep may not differ in.
SWEEP_KEY = ("dataset", "cell", "sparsity", "weight_bits", "recipe", "epochs", "seed")


@dataclass(frozen=True)
class Line:
    """Points of one kind; ``notes`` stand beside them, ``style`` and ``color`` are matplotlib's."""

    label: str
    points: list[tuple[float, float]]
    style: str = "o-"
    color: str | None = None
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Panel:
    """One pair of axes."""

    title: str
    x_label: str
    y_label: str
    lines: list[Line]
    log_x: bool = False
    log_y: bool = False


@dataclass(frozen=True)
class FigureKind:
    """A figure: what it is about, and what makes its panels, which are none when nothing was run for it."""

    caption: str
    panels: Callable[[Results], list[Panel]]
    height: float = 4.2


def cost_panels(results: Results) -> list[Panel]:
    """Return quality against cost: one run of each sparsity, width and recipe, with events and, dotted, without; the LSTMs beside them."""
    lines: dict[Dataset, list[Line]] = {}
    for one in series(results.single_runs):
        costs = [(run, run.macs_per_token.with_decoder) for run in one.runs if run.layers and run.macs_per_token]
        if not costs:
            continue
        found = lines.setdefault(one.dataset, [])
        label, color = f"EGRU, {one.label}", f"C{len(found)}"
        # The points of the other widths lie close by.
        notes = [] if found else [percent(run.sparsity) for run, _ in costs]
        found.append(Line(label, [(macs.event_sparse, run.perplexity) for run, macs in costs], "o-", color, notes))
        found.append(Line(f"{label}, zero weights alone", [(macs.weight_sparse, run.perplexity) for run, macs in costs], "x:", color))
    for run in results.single_runs:
        if run.cell == "lstm" and run.macs_per_token and run.dataset in lines:
            point = (run.macs_per_token.with_decoder.dense, run.perplexity)
            lines[run.dataset].append(Line(f"LSTM, {bits_words(run.weight_bits)}", [point], "s", "0.4"))
    return [Panel(DATASET_NAMES[dataset], MACS, PERPLEXITY, found, log_x=True) for dataset, found in lines.items()]


def activity_panels(results: Results) -> list[Panel]:
    """Return each layer's activity over weight sparsity, for the series with the most sparsities of each data set."""
    longest: dict[Dataset, Series] = {}
    for one in series([run for run in results.single_runs if run.activity]):
        if one.dataset not in longest or len(one.runs) > len(longest[one.dataset].runs):
            longest[one.dataset] = one
    panels = []
    for one in longest.values():
        layers = min(len(run.activity) for run in one.runs)
        lines = [Line(f"layer {index + 1}", [(run.sparsity, run.activity[index]) for run in one.runs]) for index in range(layers)]
        panels.append(Panel(one.title, WEIGHT_SPARSITY, EVENTS, lines))
    return panels


def weight_decay_panels(results: Results) -> list[Panel]:
    """Return quality against activity where runs differ in weight decay alone."""
    groups: dict[tuple[object, ...], list[Run]] = {}
    for run in results.single_runs:
        if run.total_activity is not None:
            groups.setdefault(tuple(getattr(run, name) for name in SWEEP_KEY), []).append(run)
    lines: dict[Dataset, list[Line]] = {}
    for runs in groups.values():
        if len({run.weight_decay for run in runs}) > 1:
            ordered = sorted(runs, key=lambda run: run.weight_decay)
            points = [(run.total_activity, run.perplexity) for run in ordered if run.total_activity is not None]
            label = f"{percent(ordered[0].sparsity)} sparse, {bits_words(ordered[0].weight_bits)}"
            lines.setdefault(ordered[0].dataset, []).append(Line(label, points, notes=[f"{run.weight_decay:g}" for run in ordered]))
    return [Panel(DATASET_NAMES[name], EVENTS, PERPLEXITY, found) for name, found in lines.items()]


def curve_panels(results: Results) -> list[Panel]:
    """Return validation perplexity over epochs, for the widest width of each data set and recipe, and the LSTMs."""
    widest: dict[tuple[Dataset, str], Series] = {}
    for one in series([run for run in results.single_runs if run.curve]):
        widest.setdefault((one.dataset, one.recipe), one)
    lines: dict[Dataset, list[Line]] = {}
    for one in widest.values():
        lines.setdefault(one.dataset, []).extend(Line(run.name, _curve(run), "-") for run in one.runs)
    for run in results.single_runs:
        if run.cell == "lstm" and run.curve and run.dataset in lines:
            lines[run.dataset].append(Line(run.name, _curve(run), "-", "0.4"))
    return [Panel(DATASET_NAMES[dataset], "epoch", "validation perplexity", found, log_y=True) for dataset, found in lines.items()]


FIGURES = {
    "quality": FigureKind("Test perplexity against MACs per token, marked with the weight sparsity", cost_panels),
    "activity": FigureKind("Events per neuron and step against weight sparsity", activity_panels),
    "weight_decay": FigureKind("Test perplexity against activity, marked with the weight decay", weight_decay_panels),
    "curves": FigureKind("Validation perplexity over training", curve_panels, height=3.6),
}


def figure_file(name: str) -> str:
    """Return the file name of a figure."""
    return f"paper_results_{name}.svg"


def draw(panels: Sequence[Panel], height: float) -> str:
    """Return an SVG of ``panels`` side by side; the same panels give the same text.

    Raises:
        UserError: When matplotlib is missing.
    """

    def paint(figure: Any) -> None:
        for axes, panel in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True):
            for line in panel.lines:
                x, y = zip(*line.points, strict=True)
                axes.plot(x, y, line.style, color=line.color, markersize=4, linewidth=1, label=line.label)
                for note, point in zip(line.notes, line.points, strict=False):  # none, or one for each
                    axes.annotate(note, point, textcoords="offset points", xytext=(4, 4), fontsize="x-small")
            axes.set(title=panel.title, xlabel=panel.x_label, ylabel=panel.y_label)
            axes.set(xscale="log" if panel.log_x else "linear", yscale="log" if panel.log_y else "linear")
            axes.legend(fontsize="x-small")

    return draw_svg("drawing the figures", (5 * len(panels), height), paint)


def _curve(run: Run) -> list[tuple[float, float]]:
    return [(point.epoch, point.validation_perplexity) for point in run.curve]
