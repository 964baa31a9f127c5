"""The page of the language model runs, from their result file alone."""

from collections.abc import Iterable, Iterator, Sequence

from benchmarks.markdown import markdown_table
from benchmarks.paper_figures import FIGURES, figure_file
from benchmarks.paper_results import DATASET_NAMES, MacCounts, Results, Run, Speed, percent, series
from benchmarks.paper_targets import Target, quality_targets, speed_targets

INTRODUCTION = """\
# Language models: both sparsities against quality

EGRU language models, dense, gradually pruned and quantised, beside an LSTM of cuDNN: the experiment of "Weight Sparsity Complements
Activity Sparsity in Neuromorphic Language Models" ([arXiv 2405.00433](https://arxiv.org/abs/2405.00433)), trained anew. This page is
written by `python -m benchmarks.paper --report docs` from `benchmarks/results/paper.json`, which holds more than is shown here.

"""

READING = """\
Test perplexity is that of the *integer reference* over the whole test split where a run is quantised, and that of training's own float
evaluation where it is not; validation perplexity is always training's. The state is carried along the text. *Exact* says whether the
GPU's integer evaluation of the test split and the reference's have the same SHA-256.
Of several runs that differ in more than their seed, the one that validation prefers stands for them in targets and figures.

MACs are counted per token as in [semantics.md](semantics.md), section 9: of W (layers after the first) and R, and of the decoder; the
input product of the first layer is a table of its own and costs none. *Saving* is dense ÷ event-sparse. An LSTM has no events to save by:
its three counts are those of the dense network, and the input product of its first layer is left out as well.

"""

HOW = """\
## How runs get here

Training leaves one folder per run, with `run.json` and, where the run is quantised, the exported `model/`. `DATA` holds `ptb/`
and `wikitext2/`, `RUNS` is a run's folder or one that holds such folders. A run replaces the one of its name.

```
python -m benchmarks.paper --data DATA --runs RUNS --speed speed.json
python -m benchmarks.paper --report docs
```
"""

LAW = """\
## The law in MACs: both sparsities multiply

If zero weights and silent neurons were independent, a layer would need dense MACs · weight density · event density. Each cell holds the
weight density, the event density of what the layer reads (its own events and those of the layer before, weighted by the weights that wait
for them), and the ratio of the MACs measured to that product: at 1 they are independent, above 1 the neurons that keep more weights also
fire more.

"""

COMPENSATION = """\
## Whether activity compensates

Events per neuron and step over all layers, and relative to the densest run of the same width. Activity compensates from the sparsity on
from which it stays above that of the densest run.

"""

TIMES = {
    "EGRU": "ours_ms",
    "EGRU, quantisation-aware": "qat_ms",
    "LSTM of cuDNN, rows padded": "cudnn_lstm_ms",
    "LSTM of cuDNN, as given": "cudnn_lstm_unpadded_ms",
}


def page(results: Results) -> str:
    """Return the results as Markdown; each figure is a file beside it."""
    parts = [INTRODUCTION + _what(results), READING]
    for dataset, name in DATASET_NAMES.items():
        runs = [run for run in results.single_runs if run.dataset == dataset]
        if runs:
            parts += [f"## {name}\n\n", _quality(runs), "\nMACs per token, in millions:\n\n", _costs(runs), "\n"]
    parts += ["## Targets\n\n", _targets(quality_targets(results)), "\n", _figure(results, "quality")]
    parts += [_law(results), _compensation(results), _figure(results, "activity")]
    parts += [_section(results, "weight_decay", "## Weight decay steers activity\n\nRuns that differ in weight decay alone.\n\n")]
    parts += [_speed(results.speed) if results.speed else "## Speed of training\n\nNot measured.\n\n", _spread(results)]
    parts += [_section(results, "curves", "## Training\n\n"), HOW]
    return "".join(parts).rstrip() + "\n"


def _what(results: Results) -> str:
    if not results.runs:
        return "No run has been added yet.\n\n"
    lines = []
    for dataset, name in DATASET_NAMES.items():
        runs = [run for run in results.runs if run.dataset == dataset]
        if runs:
            cells = ", ".join(f"{sum(run.cell == cell for run in runs)} {cell.upper()}" for cell in sorted({run.cell for run in runs}))
            seconds = sum(run.seconds * run.gpus for run in runs)
            lines.append(f"* {name}: {cells} runs on {_names(run.gpu for run in runs)}, {seconds:,.0f} GPU seconds of training\n")
    return "".join(lines) + "\n" + _exactness(results)


def _exactness(results: Results) -> str:
    compared = [run for run in results.runs if run.integer and run.integer.equals_gpu is not None]
    if not compared:
        return "No run had its integer evaluation on the GPU compared with the reference.\n\n"
    wrong = [run.name for run in compared if run.integer and not run.integer.equals_gpu]
    tokens = sum(run.integer.tokens for run in compared if run.integer)
    words = f"The GPU's integer evaluation equals the reference in {len(compared) - len(wrong)} of {len(compared)} runs, {tokens:,} tokens"
    return words + (f"; it differs in {', '.join(wrong)}.\n\n" if wrong else ".\n\n")


def _quality(runs: Sequence[Run]) -> str:
    header = "run, cell, weight sparsity, bits, weight decay, test perplexity, measured by, exact, validation, events per neuron and step"
    rows = [
        (
            run.name,
            run.cell.upper(),
            percent(run.sparsity),
            "float" if run.weight_bits is None else str(run.weight_bits),
            f"{run.weight_decay:g}",
            f"{run.perplexity:.2f}",
            "integer reference" if run.integer else "training",
            _exact(run),
            f"{run.validation_perplexity:.2f}",
            ", ".join(f"{density:.3f}" for density in run.activity) or "-",
            f"{run.epochs:g}",
            f"{run.seconds:,.0f}",
            f"{run.gpus} x {run.gpu}",
            str(run.seed),
        )
        for run in _ordered(runs)
    ]
    return markdown_table([*header.split(", "), "epochs", "seconds", "GPU", "seed"], rows)


def _costs(runs: Sequence[Run]) -> str:
    kinds = ("dense", "weight-sparse", "event-sparse", "saving")
    header = ["run", "non-zero W and R", *kinds, *(f"{kind}, with decoder" for kind in kinds)]
    rows = []
    for run in _ordered(runs):
        macs = run.macs_per_token
        if macs is None:
            rows.append([run.name, f"{100 * run.weight_density:.1f} %", *"-" * 8])
        else:
            rows.append([run.name, f"{100 * macs.weight_sparse / macs.dense:.1f} %", *_macs(macs), *_macs(macs.with_decoder)])
    return markdown_table(header, rows)


def _macs(macs: MacCounts) -> list[str]:
    saving = f"{macs.dense / macs.event_sparse:.1f}" if macs.event_sparse else "-"
    return [*(f"{value / 1e6:.3f}" for value in (macs.dense, macs.weight_sparse, macs.event_sparse)), saving]


def _targets(targets: Sequence[Target]) -> str:
    missed = [target for target in targets if target.verdict == "missed"]
    columns = {
        "what": [target.what for target in targets],
        "target": [f"{'≥' if target.at_least else '≤'} {target.limit:g}" for target in targets],
        "published": ["-" if target.published is None else f"{target.published:g}" for target in targets],
        "value": ["-" if target.value is None else f"{target.value:.2f}" for target in targets],
        "verdict": [f"**{target.verdict}**" if target.verdict == "missed" else target.verdict for target in targets],
        "run": [target.source or "-" for target in targets],
    }
    shown = {name: column for name, column in columns.items() if set(column) != {"-"}}
    text = markdown_table(list(shown), list(zip(*shown.values(), strict=True)))
    return text + (f"\nMissed: {'; '.join(target.what for target in missed)}.\n" if missed else "")


def _law(results: Results) -> str:
    parts: list[str] = []
    ratios: list[float] = []
    for title, runs in _evaluated(results):
        layers = max(len(run.layers) for run in runs)
        rows = []
        for run in runs:
            cells = [
                f"{layer.weight_density:.3f} · {layer.event_density:.3f}: {'-' if layer.law_ratio is None else f'{layer.law_ratio:.3f}'}"
                for layer in run.layers
            ]
            rows.append([percent(run.sparsity), *cells, *["-"] * (layers - len(cells))])
            ratios += [layer.law_ratio for layer in run.layers if layer.law_ratio is not None]
        parts.append(f"{title}:\n\n{markdown_table(['weight sparsity', *(f'layer {index + 1}' for index in range(layers))], rows)}\n")
    if not parts:
        return ""
    between = f"The ratio lies between {min(ratios):.3f} and {max(ratios):.3f}.\n\n" if ratios else ""
    return LAW + "".join(parts) + between


def _compensation(results: Results) -> str:
    parts = []
    for title, runs in _evaluated(results):
        found = [(run, activity) for run in runs if (activity := run.total_activity) is not None]
        if len(found) > 1:
            dense = found[0][1]
            rows = [
                (percent(run.sparsity), f"{activity:.3f}", f"{activity / dense:.2f}" if dense else "-", f"{run.perplexity:.2f}")
                for run, activity in found
            ]
            start = compensation_start([(run.sparsity, activity) for run, activity in found])
            words = "Activity does not compensate." if start is None else f"Activity compensates from {percent(start)} on."
            table = markdown_table(["weight sparsity", "events per neuron and step", "relative to the densest", "test perplexity"], rows)
            parts.append(f"{title}:\n\n{table}\n{words}\n\n")
    return COMPENSATION + "".join(parts) if parts else ""


def compensation_start(activity: Sequence[tuple[float, float]]) -> float | None:
    """Return the sparsity from which on activity stays above that of the densest run; None when the sparsest is not above it.

    Args:
        activity: Sparsity and events per neuron and step, densest run first.
    """
    start = None
    for sparsity, density in reversed(activity[1:]):
        if density <= activity[0][1]:
            break
        start = sparsity
    return start


def _evaluated(results: Results) -> Iterator[tuple[str, list[Run]]]:
    """Yield a title and the runs of every series, of those that the integer reference has measured."""
    for found in series([run for run in results.single_runs if run.layers]):
        yield found.title, found.runs


def _speed(speed: Speed) -> str:
    measured = {f"{speed.batch} streams": speed, "128 streams": speed.batch128}
    shown = {name: times for name, times in measured.items() if any(getattr(times, field) is not None for field in TIMES.values())}
    header = ["what", *(column for name in shown for column in (f"ms, {name}", "÷ padded LSTM"))]
    rows = []
    for what, field in TIMES.items():
        found = [(getattr(times, field), times.ratio(getattr(times, field))) for times in shown.values()]
        rows.append([what, *("-" if figure is None else f"{figure:.2f}" for pair in found for figure in pair)])
    text = f"## Speed of training\n\nOne whole optimiser step on {speed.gpu}, {speed.steps} time steps.\n\n{markdown_table(header, rows)}\n"
    failed = [f"{name}, {streams}" for streams, times in measured.items() for name in times.errors]
    text += f"Failed: {'; '.join(failed)}.\n\n" if failed else ""
    text += f"{_targets(speed_targets(speed))}\n"
    if speed.two_gpus:
        two = speed.two_gpus
        text += f"{two.batch} streams on each of two GPUs take {two.two_ms:.2f} ms a step, on one GPU {two.one_ms:.2f} ms: "
        text += f"{two.speedup:.2f} times the symbols per second.\n\n"
    if speed.profile:
        parts = [(part.part, f"{part.ms:.3f}") for part in speed.profile]
        text += "Kernels of an EGRU's step by kind; they run side by side, so they may add up to more than the step takes.\n\n"
        text += f"{markdown_table(['kernels', 'ms'], parts)}\n"
    return text


def _spread(results: Results) -> str:
    if not results.spread:
        return ""
    rows = [
        (
            found.name,
            ", ".join(map(str, found.seeds)),
            ", ".join(f"{perplexity:.2f}" for perplexity in found.test_perplexities),
            f"{found.mean:.2f}",
            f"{found.std:.2f}",
        )
        for found in results.spread
    ]
    text = "## Spread over seeds\n\nTest perplexity of runs that differ in the seed alone; the deviation is that of the sample.\n\n"
    return text + markdown_table(["runs", "seeds", "test perplexity", "mean", "deviation"], rows) + "\n"


def _section(results: Results, figure: str, heading: str) -> str:
    shown = _figure(results, figure)
    return heading + shown if shown else ""


def _figure(results: Results, name: str) -> str:
    kind = FIGURES[name]
    return f"![{kind.caption}]({figure_file(name)})\n\n{kind.caption}.\n\n" if kind.panels(results) else ""


def _ordered(runs: Iterable[Run]) -> list[Run]:
    """Order by cell, sparsity and bits; floats come before the widths that they were quantised to."""
    return sorted(runs, key=lambda run: (run.cell, run.sparsity, -(run.weight_bits or 99), run.name))


def _exact(run: Run) -> str:
    if run.integer is None or run.integer.equals_gpu is None:
        return "-"
    return "yes" if run.integer.equals_gpu else "**no**"


def _names(names: Iterable[str]) -> str:
    return ", ".join(sorted(set(names)))
