"""The page of the feature stream runs, from their result file alone."""

from collections.abc import Sequence
from typing import get_args

from benchmarks.markdown import markdown_table
from benchmarks.streams_results import ASSUMED_FRAME_RATES, FLOAT_BITS, Cell, Results, StreamRun, Target
from benchmarks.streams_targets import COMMANDS, DIGITS

TITLES = {DIGITS: "Spoken Arabic Digits", COMMANDS: "Arabic Speech Commands"}

INTRODUCTION = """\
# Feature streams: quality, both sparsities, hardware

EGRU networks that read a stream of features, dense, pruned and quantised, beside a GRU of the same size; trained with several seeds,
measured on the test split, whose speakers are in no other split. This page is written by `python -m benchmarks.streams --report docs` from
`benchmarks/results/streams.json`, which holds more than is shown here.

Accuracy is that of the *integer reference* where the weights have bits, and of the float network where they do not; mean and sample
deviation over the seeds. *Events* are those per neuron and frame, *input events* those per channel and frame. *MACs* are counted per frame
with decoder, as in [semantics.md](semantics.md), section 9: dense, and with both sparsities used; a GRU uses neither. They are counted of
integer networks. A pruned network was trained for longer than the dense one that it comes from, by the whole phase of pruning. A GRU has
three matrices of each kind, as an EGRU, and is trained from the same sequences in the same order with the same augmentation; its learning
rate and epochs are those that validation preferred.

"""
HARDWARE = """\
A frame in RTL simulation, and after place and route with open tools; the clock is the median of the placer seeds, and the time of a frame
is that at the board's clock. No bitstream has been run on a board here."""
HOW = """\
## How runs get here

`--data` is a folder that `egru data import` wrote. The first command trains and measures the networks of one seed, the next those with
inputs coded as events, the third the GRU. They go on where they were stopped. `make bench-streams DATA=runs/digits` does
the first and the third for three seeds, and the page. Hardware is that of one model of a run, in a folder of the board's name.

```
python -m benchmarks.streams_training --data runs/digits --recipe spoken_digits --seed 1
python -m benchmarks.streams_training --data runs/commands --recipe speech_commands_delta --branch 0.1:8 --device cuda
python -m benchmarks.gru_baseline --data runs/digits --hidden 128 --epochs 30 --learning-rate 6e-3 --dropout 0.1 --label-smoothing 0.05 \\
    --time-shift 2 --noise 0.15 --seed 1 --runs runs/streams/runs
cd runs/streams/runs/spoken-arabic-digits/egru-0.1-8
egru generate seed1-model --board icebreaker --fit --weights single-port --clock-mhz 30 --out icebreaker/rtl
egru generate seed1-model --board tang_nano_20k --lanes 4,1 --out tang_nano_20k/rtl
egru simulate tang_nano_20k/rtl --data DATA --sequences 60 --out tang_nano_20k/simulation
egru build tang_nano_20k/rtl --board tang_nano_20k --out tang_nano_20k/build   # for the iCEBreaker with --clock-mhz 30
egru generate seed1-model --backend hls --lanes 4,1 --out hls/source
egru simulate hls/source --data DATA --sequences 2200 --out hls/simulation
python -m benchmarks.streams --runs runs/streams/runs --data runs/digits --report docs
```
"""


def page(results: Results) -> str:
    """Return the results as Markdown."""
    parts = [INTRODUCTION]
    for dataset in sorted({run.dataset for run in results.runs}, key=lambda name: TITLES.get(name, name), reverse=True):
        runs = [run for run in results.runs if run.dataset == dataset]
        parts += [f"## {TITLES.get(dataset, dataset)}\n\n", _quality(runs), "\n", _about(runs), _hardware(runs)]
    if not results.runs:
        parts.append("No run has been added yet.\n\n")
    parts += ["## Targets\n\n", _targets(results.targets), "\n", HOW]
    return "".join(parts)


def _quality(runs: Sequence[StreamRun]) -> str:
    header = ("network", "weights kept", "bits", "accuracy", "seeds", "events", "input events", "MACs dense", "MACs used", "saving")
    rows = []
    for run in runs:
        dense, used = run.macs_dense, run.macs_per_frame
        spread = "" if run.accuracy_std is None else f" ± {100 * run.accuracy_std:.2f}"
        rows.append(
            (
                f"{run.cell.upper()} {', '.join(map(str, run.hidden_sizes))}",
                f"{100 * run.weight_density:g} %",
                "float" if run.weight_bits == FLOAT_BITS else str(run.weight_bits),
                f"{100 * run.accuracy_mean:.2f}{spread} %",
                ", ".join(map(str, run.seeds)),
                "-" if run.event_density is None else f"{run.event_density:.3f}",
                "-" if run.input_event_density is None else f"{run.input_event_density:.3f}",
                "-" if dense is None else f"{dense:,.0f}",
                "-" if used is None else f"{used:,.0f}",
                "-" if dense is None or not used else f"{dense / used:.1f}",
            )
        )
    return markdown_table(header, rows)


def _about(runs: Sequence[StreamRun]) -> str:
    """Say what the table does not show."""
    lines = []
    for cell in get_args(Cell):
        of_cell = [run for run in runs if run.cell == cell]
        if of_cell:
            devices, seconds = ", ".join(sorted({run.trained_on for run in of_cell})), max(run.seconds for run in of_cell)
            recipes = ", ".join(sorted({run.recipe for run in of_cell if run.recipe}))
            by = f", recipe {recipes}" if recipes else ""
            lines.append(
                f"* {cell.upper()}: {of_cell[0].weights:,} weights{by}; at most {seconds:,.0f} s of training a seed on {devices}\n"
            )
    baseline = next((run.linear_baseline for run in runs if run.linear_baseline is not None), None)
    if baseline is not None:
        lines.append(f"* a linear model of segment means: {100 * baseline:.2f} %\n")
    saturated = max((run.saturated_inputs / len(run.seeds) for run in runs if run.saturated_inputs is not None), default=None)
    if saturated is not None:
        lines.append(f"* {saturated:,.0f} features of the test split were beyond the encoding's range, and saturated\n")
    compared = [run for run in runs if run.equals_fake_quantised is not None]
    if compared:
        models, equal = sum(len(run.seeds) for run in compared), sum(len(run.seeds) for run in compared if run.equals_fake_quantised)
        words = f"* {equal} of {models} exported models equal the networks as they were trained, every event and logit of the test split"
        lines.append(f"{words}{'' if equal == models else ': **not all**'}\n")
    return "".join(lines) + "\n"


def _hardware(runs: Sequence[StreamRun]) -> str:
    found = [(run, hardware) for run in runs for hardware in run.hardware]
    if not found:
        return "No hardware of these networks has been measured yet.\n\n"
    figures = ("cycles", "LUT", "block RAM", "SPRAM", "clock MHz", "board's MHz", "µs", "times real time")
    header = ("network", "board", "lanes", "frames compared", *figures)
    rows = []
    for run, hardware in found:
        values = (
            (hardware.cycles_per_frame, ".1f"),
            (hardware.luts, ",.0f"),
            (hardware.block_rams, ",.0f"),
            (hardware.large_rams, ",.0f"),
            (hardware.fmax_mhz, ".1f"),
            (hardware.target_mhz, "g"),
            (hardware.latency_us, ".1f"),
            (hardware.real_time_factor, ",.0f"),
        )
        rows.append(
            (
                _named(run),
                hardware.board,
                str(hardware.lanes),
                f"{hardware.frames_compared:,}, {hardware.mismatches} differ",
                *("-" if value is None else format(value, form) for value, form in values),
            )
        )
    words = HARDWARE
    if (assumed := ASSUMED_FRAME_RATES.get(runs[0].dataset)) is not None:
        words += f" The data set does not say its frame rate: real time is\ntaken as {assumed:g} frames per second."
    return f"{words}\n\n{markdown_table(header, rows)}\n{_hls(runs)}"


def _hls(runs: Sequence[StreamRun]) -> str:
    lines = []
    for run in runs:
        if run.hls is not None:
            what = "all" if run.hls.whole_split else "some"
            lines.append(
                f"As HLS C++, in C simulation, {_named(run)}: {what} {run.hls.decisions_compared:,} test sequences,\n"
                f"{run.hls.frames_compared:,} frames, {run.hls.values_compared:,} values compared with the reference, "
                f"{run.hls.mismatches} differ.\n\n"
            )
    return "".join(lines)


def _named(run: StreamRun) -> str:
    return f"{run.cell.upper()}, {100 * run.weight_density:g} % of the weights, {run.weight_bits} bits"


def _targets(targets: Sequence[Target]) -> str:
    rows = []
    for target in targets:
        verdict = "not run" if target.met is None else "met" if target.met else "**missed**"
        limit = f"{'≥' if target.at_least else '≤'} {target.limit:,g}"
        value = "-" if target.value is None else f"{target.value:,.2f}".rstrip("0").rstrip(".")
        rows.append((TITLES.get(target.dataset, target.dataset), target.what, limit, value, verdict))
    return markdown_table(("data set", "what", "target", "value", "verdict"), rows)
