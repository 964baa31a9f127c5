"""Table and plot of the datapath benchmark, from its result file alone."""

from collections.abc import Iterable, Sequence
from typing import Any

from benchmarks.datapath import DENSE, EVENT_DENSITIES, WEIGHT_DENSITIES, BlockResult, CaseResult, Results, law_name
from egru.drawing import draw_svg

LAW_BAND = (0.95, 1.15)
LANE_COUNTERS = ("macs", "fetch_slots", "idle_slots")  # lane-cycles; the other counters count cycles
CYCLE_COUNTERS = ("bus_stalls", "output_stalls", "update_cycles")
CAUSES = {
    "fetch_slots": "events on their way to a lane without giving a MAC",
    "idle_slots": "lanes without an event: waiting for the slowest lane, the update or the next events",
}

INTRODUCTION = """\
# The datapath in clock cycles

Measured in RTL simulation by `make bench-datapath`, which also writes this page from `benchmarks/results/datapath.json`.
Every event and logit was equal to the reference ({mismatches} mismatches in {values:,} values).
Cycles per step are those of a running stream, with every handshake, queue, update and barrier.
Weights are gaussian with uneven rows and columns, pruned globally by magnitude (`benchmarks/datapath_model.py`).

* bound: useful MACs ÷ lanes, the cycles of a step if every lane did a MAC in every cycle
* predicted: cycles per step by the cycle model (`hls_gen/cycle_model.py`), without a simulation
* occupancy: bound ÷ cycles
* law ratio: cycles ÷ (cycles of the dense case · weight density · event density)
"""

BREAKDOWN = """\
## Where the cycles go

MACs, fetch (an event is on its way but gives no MAC) and idle (no event) are shares of the layer's lane-cycles;
bus stalls (a full lane queue), output stalls and update cycles are clock cycles per step, which overlap with MACs.

"""

PLACE_AND_ROUTE = """\
## After place and route

One layer of 256 units at weight density .1 in the board top of the ULX3S-85F (`benchmarks/datapath_build.py`; yosys, nextpnr).
A lane's LUT4 are those of queue, walker, accumulators and their read-out; the core's hold everything, UART and registers included.
The clock is the median of the placer seeds.

"""


def table(results: Results, plot_file: str) -> str:
    """Return the page as Markdown; ``plot_file`` is the plot's path from the page."""
    mismatches, values = (sum(getattr(case, name) for case in results.cases) for name in ("mismatches", "values"))
    parts = [INTRODUCTION.format(mismatches=mismatches, values=values), _cases(results.cases)]
    law = law_grid(results.cases)
    if law:
        parts += [_law(law), f"![cycles per step and law ratio]({plot_file})\n", _outside(law.values())]
    parts.append(_breakdown(results.cases))
    parts += [PLACE_AND_ROUTE + _builds(results.place_and_route)] if results.place_and_route else []
    parts += [f"Not measured: {name} ({reason}).\n" for name, reason in results.skipped.items()]
    return "\n".join(parts)


def plot(results: Results) -> str:
    """Return an SVG: cycles per step over the product of the densities, and the law ratio over the event density.

    Raises:
        UserError: When matplotlib is missing.
    """
    law = law_grid(results.cases)

    def paint(figure: Any) -> None:
        cycles, ratio = figure.subplots(1, 2)
        points = [case for case in results.cases if case.name == DENSE or case in law.values()]
        products = [case.weight_density * case.event_density for case in points]
        if points:
            ends = [min(products), max(products)]
            dense = points[0].macs_per_step / points[0].lanes / products[0]
            cycles.plot(ends, [dense * end for end in ends], color="0.6", label="bound")
        cycles.plot(products, [case.cycles_per_step for case in points], "o", markersize=4, label="measured")
        cycles.set(xscale="log", yscale="log", xlabel="weight density · event density", ylabel="clock cycles per step")
        cycles.legend()
        ratio.axhspan(*LAW_BAND, color="0.92")
        for density in _densities(law, 0):
            line = sorted((key[1], case.law_ratio) for key, case in law.items() if key[0] == density)
            ratio.plot([x for x, _ in line], [y for _, y in line], "o-", markersize=4, label=f"weight density {density:g}")
        ratio.set(xscale="log", xlabel="event density", ylabel="law ratio", xticks=_densities(law, 1))
        ratio.set_xticklabels([f"{density:g}" for density in _densities(law, 1)])
        ratio.minorticks_off()
        if law:
            ratio.legend()

    return draw_svg("the plot", (10, 4.2), paint)


def law_grid(cases: Iterable[CaseResult]) -> dict[tuple[float, float], CaseResult]:
    """Return the cases of the grid that have a law ratio, by the weight and event density asked for."""
    by_name = {case.name: case for case in cases if case.law_ratio is not None}
    grid = {(weights, events): by_name.get(law_name(weights, events)) for weights in WEIGHT_DENSITIES for events in EVENT_DENSITIES}
    return {densities: case for densities, case in grid.items() if case is not None}


def _densities(law: dict[tuple[float, float], CaseResult], place: int) -> list[float]:
    return sorted({key[place] for key in law}, reverse=True)


def _rows(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [header, ["---", *["---:"] * (len(header) - 1)], *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def _cases(cases: Sequence[CaseResult]) -> str:
    header = ("case", "units", "lanes", "weight density", "event density", "bound", "cycles per step", "predicted", "occupancy")
    rows = [
        (
            case.name,
            " + ".join(map(str, case.layers)),
            str(case.lanes),
            f"{case.weight_density:.3f}",
            f"{case.event_density:.3f}",
            f"{case.macs_per_step / case.lanes:.1f}",
            f"{case.cycles_per_step:.1f}",
            f"{case.predicted_cycles_per_step:.1f}",
            f"{case.occupancy:.3f}",
        )
        for case in cases
    ]
    return "## Cases\n\n" + _rows(header, rows)


def _law(law: dict[tuple[float, float], CaseResult]) -> str:
    events = _densities(law, 1)
    rows = [[f"{d:g}", *(_ratio(law.get((d, a))) for a in events)] for d in _densities(law, 0)]
    text = (
        "## The law: both sparsities multiply\n\nLaw ratio by weight density (down) and event density (across), 1024 units, 16 lanes:\n\n"
    )
    return text + _rows(["", *(f"{a:g}" for a in events)], rows)


def _ratio(case: CaseResult | None) -> str:
    if case is None or case.law_ratio is None:
        return "-"
    return f"{case.law_ratio:.3f}" if _inside(case) else f"**{case.law_ratio:.3f}**"


def _inside(case: CaseResult) -> bool:
    return case.law_ratio is not None and LAW_BAND[0] <= case.law_ratio <= LAW_BAND[1]


def _outside(cases: Iterable[CaseResult]) -> str:
    outside = [case for case in cases if not _inside(case)]
    if not outside:
        return f"Every point lies between {LAW_BAND[0]} and {LAW_BAND[1]}.\n"
    lines = [f"Outside {LAW_BAND[0]} to {LAW_BAND[1]} (bold), with the largest loss of each:\n"]
    for case in outside:
        shares = {name: _share(case, [block for block in case.blocks if block.measured], name) for name in CAUSES}
        cause = max(shares, key=lambda name: shares[name])
        lines.append(f"* {case.name}, {case.law_ratio:.3f}: {shares[cause]:.1%} of the lane-cycles are {CAUSES[cause]}")
    return "\n".join(lines) + "\n"


def _breakdown(cases: Sequence[CaseResult]) -> str:
    header = ("case, layer", "MACs", "fetch", "idle", *(name.replace("_", " ") for name in CYCLE_COUNTERS))
    rows = [
        (
            f"{case.name}, {block.name}",
            *(f"{_share(case, [block], name):.1%}" for name in LANE_COUNTERS),
            *(f"{block.per_step[name]:.1f}" for name in CYCLE_COUNTERS),
        )
        for case in cases
        for block in case.blocks
        if block.measured
    ]
    return BREAKDOWN + _rows(header, rows)


def _builds(rows: Sequence[dict[str, Any]]) -> str:
    header = ("lanes", "clock", "each seed", "asked for", "LUT4 a lane", "LUT4 of the core / lanes", "LUT4", "FF", "block RAM", "DSP")
    lines = [
        (
            f"{row['lanes']}",
            f"{row['fmax_mhz']:.1f} MHz",
            ", ".join(f"{clock:.1f}" for clock in row["fmax_mhz_per_seed"].values()),
            f"{row['target_mhz']:.0f} MHz",
            f"{row['lut4_per_lane']:.0f}",
            f"{row['core_lut4_per_lane']:.0f}",
            *(f"{row[name]:,}" for name in ("lut4", "ff", "bram", "dsp")),
        )
        for row in rows
    ]
    return _rows(header, lines)


def _share(case: CaseResult, blocks: Sequence[BlockResult], counter: str) -> float:
    return sum(block.per_step[counter] for block in blocks) / (case.cycles_per_step * sum(block.lanes for block in blocks))
