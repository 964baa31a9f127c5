"""The page of the comparison with hls4ml, from its result file alone."""

from collections.abc import Iterable, Sequence

from benchmarks.hls4ml_comparison import (
    CLASSES,
    COARSE_FRAC,
    EGRU,
    HLS4ML,
    LANES,
    NOT_FOR_GRU,
    REUSE,
    SPARSITY,
    STEPS,
    STRATEGIES,
    SYMBOLS,
    UNITS,
    Distance,
    EgruRun,
    GruRun,
    Precision,
    Results,
)

INTRODUCTION = """\
# Side by side with hls4ml

Measured by `make bench-hls4ml`, which also writes this page from `benchmarks/results/hls4ml.json`: hls4ml {hls4ml}, torch {torch},
Brevitas {brevitas}, {compiler}.

One recurrent layer of {units} units behind {symbols} symbols, a decoder with {classes} classes, 8-bit weights; dense, and with
{sparsity} of the weights pruned by magnitude. Both networks are drawn at random, not trained. Both tools generate C++ for Vitis HLS;
both run as C simulation on one core. No HLS compiler ran, so nothing here is a clock cycle or a LUT.

The two are not the same network, and each tool gets what it is made for:

* hls4ml gets `torch.nn.GRU` and `torch.nn.Linear`. From PyTorch it has no input of symbols, so a symbol is a one-hot vector, which costs a
  dense product; it answers after the last of {steps} steps, a length that is fixed when it generates.
* {egru} gets its event-based GRU, and answers after every step. A symbol is a row of a table, which costs no product.
"""

LINES = """\
## Lines that a user writes

From a trained network to predictions by C simulation, imports included, training left out. These are functions of
`benchmarks/hls4ml_comparison.py` that the benchmark itself runs.

"""

LINES_REMARK = """
Without the lines for the bits hls4ml takes `ap_fixed<16,6>` for everything (`default` below). A network for hls4ml is a class that the user
writes, because a GRU of PyTorch returns a pair; in return it may be any network of layers that hls4ml knows.
"""

EXACTNESS = """\
## Exactness against PyTorch

The PyTorch model of {egru} is the fake-quantised Brevitas network, with every rounding in it. Event flags, event values and logits of all
steps:

"""

DISTANCE = """
For hls4ml there is no PyTorch model that rounds as its C++ does: Brevitas has no quantised GRU, hls4ml does not read Brevitas layers
([PyTorch front end](https://fastmachinelearning.org/hls4ml/frontend/pytorch.html);
[pull request 1019](https://github.com/fastmachinelearning/hls4ml/pull/1019) was open when this was written), and its ONNX front ends read
no recurrent layers ([status](https://fastmachinelearning.org/hls4ml/intro/status.html)). Keras users have QKeras, which was not tried here.

So both tools stand below against networks that round nothing but their parameters, which are the same numbers on both sides, in float64.
This is the distance that training has to bridge: with {egru} training sees it, as the network above; from PyTorch through hls4ml it first
shows in C simulation. Logits of the last step, `differing` on the grid of the tool's own output, and on a coarser one to which both
sides are rounded:

"""

DISTANCE_REMARK = """
`same bits`: 8-bit weights, 16 bits of state, tables of 1024 entries with 12 fraction bits as in {egru}; accumulators that round no sum.
`wide`: 32 bits and tables of 65,536 entries, to show that what differs is precision and nothing else. The largest errors of {egru} are
those of sequences in which a neuron fires on one side only, which moves many logits at once.
"""

PRUNING = """\
## What pruning changes

hls4ml, read from its C++: the multiplications in the three matrix products W, R and decoder (that of the decoder is done once in a
sequence, the others in every step), and the number of multipliers that its pragmas allow the HLS compiler.

"""

PRUNING_REMARK = """
So pruning does pay with hls4ml, in area:

* `Latency` loops over every product, but weights are constants in a header, and the limit follows the number of zeros. What an HLS compiler
  makes of it was not seen here; hls4ml counts on it to drop the products with zero (`backends/vivado/passes/unrolled_codegen.py`:
  "RF = 1 will optimize DSPs anyway").
* `Resource` keeps the weights in block RAM, and multiplies by the zeros too.
* `Resource_unrolled` ([pull request 809](https://github.com/fastmachinelearning/hls4ml/pull/809)) writes down only the products that are
  not zero. A multiplier that {reuse} of them share goes only when all of them are zero; how much that saves is a matter of the reuse factor
  ([issue 1295](https://github.com/fastmachinelearning/hls4ml/issues/1295)). hls4ml warns that the initiation interval may be unexpected in
  Vitis.
* {not_for_gru} are for other layers; asked for on a GRU, hls4ml writes the strategy `{emitted}` and says nothing.

The initiation interval that hls4ml asks for is the reuse factor, whatever the weights, and a unit that is silent saves nothing.

In {egru} a zero weight is no entry in the memories, and the column of a silent neuron is not walked. Multipliers of weights are the lanes,
which the user chooses: pruning leaves them as they are and shortens the step instead.

"""

SPEED = """\
## C simulation

CPU time of one core, each tool with its own compiler options (hls4ml `-O3`, {egru} `-O2`): from the network to a loaded library, and
{steps:,} steps called from Python.

"""

NOTES = """\
## What had to be found out for hls4ml

* With `channels_last_conversion="off"`, as in hls4ml's own tests of a GRU, the weights of a `Linear` behind the GRU are not transposed, and
  the logits are wrong. With the default they are right, but the input must be given with the features first.
* `table` among the precisions of a GRU has no effect; `table_t` beside them has.
* A GRU of PyTorch has one layer and returns its last step (`converters/pytorch/recurrent.py`); its state starts at zero or is an input.
"""


def page(results: Results) -> str:
    """Return the page as Markdown."""
    distances = [*_gru_distances(results.hls4ml), *_egru_distances(results.egru)]
    emitted = {run.emitted for run in results.hls4ml if run.strategy in NOT_FOR_GRU}
    names = {
        "egru": EGRU,
        "reuse": REUSE,
        "not_for_gru": " and ".join(f"`{name}`" for name in NOT_FOR_GRU),
        "emitted": ", ".join(sorted(emitted)),
    }
    shape = {"units": UNITS, "symbols": SYMBOLS, "classes": CLASSES, "steps": STEPS, "sparsity": _percent(SPARSITY)}
    coarse = f"differing at {COARSE_FRAC} fraction bits"
    header = ("tool, bits", "pruned", "differing", coarse, "largest logit", "largest error", "other class")
    parts = [
        INTRODUCTION.format(**names, **shape, **results.versions),
        LINES + _lines(results.lines) + LINES_REMARK.format(**names),
        EXACTNESS.format(**names) + _exactness(results.egru),
        DISTANCE.format(**names) + _rows(header, distances),
        DISTANCE_REMARK.format(**names),
        PRUNING + _products(results.hls4ml) + PRUNING_REMARK.format(**names) + _entries(results.egru),
        SPEED.format(**names, **(shape | {"steps": results.steps})) + _speed(results),
        NOTES,
    ]
    return "\n".join(part.strip("\n") + "\n" for part in parts)


def _rows(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [header, ["---", *["---:"] * (len(header) - 1)], *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def _lines(lines: dict[str, dict[str, int]]) -> str:
    purposes = dict.fromkeys(purpose for counts in lines.values() for purpose in counts)
    rows = [[purpose, *(str(counts.get(purpose, 0)) for counts in lines.values())] for purpose in purposes]
    return _rows(("", *lines), [*rows, ["**all**", *(f"**{sum(counts.values())}**" for counts in lines.values())]])


def _exactness(runs: Sequence[EgruRun]) -> str:
    rows = [(_percent(run.sparsity), f"{run.values:,}", f"{run.event_density:.2f}", str(run.mismatches)) for run in runs]
    return _rows(("pruned", "values compared", "event density", "mismatches"), rows)


def _gru_distances(runs: Sequence[GruRun]) -> Iterable[Sequence[str]]:
    for run in runs:
        if run.simulation is not None and run.strategy == STRATEGIES[0]:
            yield _distance(f"{HLS4ML}, {run.precision}", run.sparsity, run.simulation.distance)


def _egru_distances(runs: Sequence[EgruRun]) -> Iterable[Sequence[str]]:
    return [_distance(EGRU, run.sparsity, run.simulation.distance) for run in runs]


def _distance(name: str, sparsity: float, found: Distance) -> Sequence[str]:
    differing = (_percent(count / found.logits, 1) for count in (found.differing, found.differing_coarse))
    decisions = f"{found.differing_decisions} of {found.decisions}"
    return name, _percent(sparsity), *differing, f"{found.largest:.2f}", f"{found.max_error:.4f}", decisions


def _percent(share: float, digits: int = 0) -> str:
    return f"{100 * share:.{digits}f} %"


def _products(runs: Sequence[GruRun]) -> str:
    bits: Precision = "same bits"
    by_key = {(run.strategy, run.sparsity): run for run in runs if run.precision == bits}
    rows = []
    for strategy in STRATEGIES:
        dense, pruned = by_key[strategy, 0.0], by_key[strategy, SPARSITY]
        rows.append(
            (
                f"`{strategy}`, reuse factor {dense.reuse_factor}",
                *(f"{getattr(dense, name):,} → {getattr(pruned, name):,}" for name in ("weights", "products", "multipliers")),
            )
        )
    return _rows(("strategy", "non-zero weights", "products in the C++", "multipliers allowed"), rows)


def _entries(runs: Sequence[EgruRun]) -> str:
    rows = [
        (
            _percent(run.sparsity),
            f"{run.weights:,}",
            f"{run.entries:,}",
            *(f"{run.macs_per_step[name]:,.0f}" for name in ("dense", "weight_sparse", "event_sparse")),
            f"{run.multipliers} ({' + '.join(map(str, LANES))} lanes)",
        )
        for run in runs
    ]
    header = (
        "pruned",
        "non-zero weights",
        "entries in the C++",
        "MACs a step, dense",
        "weight-sparse",
        "with events",
        "multipliers of weights",
    )
    return _rows(header, rows)


def _speed(results: Results) -> str:
    rows = []
    for run in results.hls4ml:
        if run.simulation is not None and run.precision == "same bits":
            rows.append((f"{HLS4ML}, `{run.strategy}`", run.sparsity, run.simulation))
    rows += [(EGRU, run.sparsity, run.simulation) for run in results.egru]
    return _rows(
        ("tool", "pruned", "generate and compile", "steps a second"),
        [(name, _percent(sparsity), f"{found.compile_seconds:.1f} s", f"{found.steps_per_second:,.0f}") for name, sparsity, found in rows],
    )
