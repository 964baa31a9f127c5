"""The figures of a sweep, from its points. Each is None where nothing was measured for it."""

from collections.abc import Callable, Sequence
from statistics import median

from egru.sweep_report.entries import Entry
from egru.sweep_report.figures import COLORS, MAX_BARS, Axis, Bars, Figure, Mark, Part, Plot, Role, Series, percent, shortened, spread
from egru.sweep_report.operations import operations

SPARSITY = Axis("weight sparsity asked for", share=True)
BOARD_SHARE = Axis("share of the board", share=True)
RESOURCES = {"lut": "LUT", "ff": "FF", "bram": "Block RAM", "dsp": "DSP"}
#: What lanes do, and what holds them up, with their colours; what else a table names is drawn as well.
CAUSES, STALLS = {"fetch": 4, "idle": 7}, {"bus stalls": 1, "output stalls": 3}
Measure = Callable[[Entry], Mark | None]


def figures(entries: Sequence[Entry]) -> list[Figure]:
    """Return the figures for which something was measured, in the order of the page."""
    # What stands on one line stands together in bars as well.
    grouped = [one for group in _by(entries, lambda entry: entry.series).values() for one in group]
    made = (resources(grouped), cycles(grouped), quality(grouped), occupancy(grouped))
    return [*(figure for figure in made if figure is not None), *operations(grouped)]


def resources(entries: Sequence[Entry]) -> Figure | None:
    """Return what each board is filled with, against sparsity."""
    panels = []
    for key, title in RESOURCES.items():

        def used(entry: Entry, key: str = key, title: str = title) -> Mark | None:
            build = entry.row.build
            if build is None or not build.available.get(key):
                return None
            amount, available = getattr(build, key), build.available[key]
            share = amount / available
            return Mark(
                entry.row.point.sparsity, share, f"{entry.name}\n{amount:,} of {available:,} {title}, {percent(share)}\n{build.source}"
            )

        series = [
            *_series([one for one in entries if _routed(one)], used, "measured"),
            *_series([one for one in entries if not _routed(one)], used, "estimated"),
        ]
        if series:
            panels.append(Plot(title, SPARSITY, BOARD_SHARE, tuple(series)))
    reading = (
        "What the core takes of each board. A zero weight is not stored, so memory falls with sparsity; logic follows the number of lanes."
    )
    roles: dict[Role, str] = {"measured": "after place and route", "estimated": "after synthesis only"}
    return _figure("resources", "Resources against sparsity", reading, panels, roles)


def cycles(entries: Sequence[Entry]) -> Figure | None:
    """Return cycles per step against both densities, with the law and the prediction."""
    x = Axis("weight density times event density", log=True, share=True)
    y = Axis("clock cycles per step", log=True)
    series = [
        *_series(entries, lambda entry: _cycles(entry, "measured"), "measured", joined=False),
        *_series(entries, lambda entry: _cycles(entry, "estimated"), "estimated"),
        *_series(entries, lambda entry: _cycles(entry, "law"), "law"),
    ]
    reading = (
        "The law: dense MACs times weight density times event density, over lanes. "
        "That is what both sparsities would leave if no lane ever waited. "
        "How far a point lies above its dashed line is what waiting costs."
    )
    roles: dict[Role, str] = {"measured": "simulated RTL", "estimated": "predicted by the cycle model", "law": "the law"}
    return _figure(
        "cycles", "Cycles against density and events", reading, [Plot("Cycles per step", x, y, tuple(series))] if series else [], roles
    )


def quality(entries: Sequence[Entry]) -> Figure | None:
    """Return quality against what it costs, with the Pareto front of each sweep."""
    panels = []
    speed = Axis("steps per second", log=True)
    steps = Axis("clock cycles per step", log=True)
    for metric in dict.fromkeys(one.row.model.metric for one in entries if one.row.model is not None):
        y = Axis(f"{metric}, less is better")
        for title, x, of, sign in (
            ("Quality against cycles", steps, _step_cycles, 1),
            ("Quality against speed", speed, _steps_per_second, -1),
        ):

            def measure(entry: Entry, metric: str = metric, x: Axis = x, of: Callable[[Entry], float | None] = of) -> Mark | None:
                model, cost = entry.row.model, of(entry)
                if model is None or model.metric != metric or cost is None or cost <= 0:
                    return None
                return Mark(cost, model.quality, f"{entry.name}\n{model.quality:.4g} {metric}\n{cost:,.4g} {x.title}")

            series = _series(entries, measure, "measured", joined=False)
            if series:
                fronts = [_front(sweep, group, measure, sign) for sweep, group in _by(entries, lambda entry: entry.sweep).items()]
                panels.append(Plot(title, x, y, (*series, *(one for one in fronts if one.marks), *_baselines(entries, metric, series))))
    reading = (
        "Further down is better; further left is cheaper, in the second plot further right is faster. "
        "Ringed points are the Pareto front: no other point beats them in one respect without losing in the other."
    )
    roles: dict[Role, str] = {"measured": "a point", "front": "Pareto front", "baseline": "n-gram baseline"}
    return _figure("quality", "Quality against cost", reading, panels, roles)


def occupancy(entries: Sequence[Entry]) -> Figure | None:
    """Return what the lanes of each block did."""
    panels = []
    simulated = [(one, {block.name: block for block in one.row.simulation.blocks}) for one in entries if one.row.simulation is not None]
    for name in dict.fromkeys(name for _, blocks in simulated for name in blocks):
        shown = spread([(one, blocks[name]) for one, blocks in simulated if name in blocks], MAX_BARS)
        useful = Part("useful", 0, tuple(block.useful for _, block in shown))
        waste = _parts(CAUSES, [block.waste for _, block in shown])
        stalls = _parts(STALLS, [{f"{cause} stalls": share for cause, share in block.stalls.items()} for _, block in shown])
        axis = Axis("share of the lanes' cycles", share=True)
        panels.append(Bars(name, axis, tuple(one.label for one, _ in shown), (useful, *waste), stalls))
    reading = (
        "Every lane in every cycle of the simulation. Useful: a MAC. Fetch: an event is on its way but gives no MAC in this cycle. "
        "Idle: nothing to do. Diamonds are no part of the bars: "
        "the share of cycles in which a full queue held the bus, or the next block the output."
    )
    return _figure("occupancy", "Where the lanes' time goes", reading + shortened(len(simulated)), panels)


def pareto(points: Sequence[tuple[float, float]]) -> list[bool]:
    """Return for each pair of costs whether no other pair is as low in both and lower in one."""
    return [not any(a <= x and b <= y and (a, b) != (x, y) for a, b in points) for x, y in points]


def _figure(
    key: str, title: str, reading: str, panels: Sequence[Plot] | Sequence[Bars], roles: dict[Role, str] | None = None
) -> Figure | None:
    present = {one.role for panel in panels if isinstance(panel, Plot) for one in panel.series}
    return (
        Figure(key, title, reading, tuple(panels), {role: words for role, words in (roles or {}).items() if role in present})
        if panels
        else None
    )


def _series(entries: Sequence[Entry], measure: Measure, role: Role, *, joined: bool = True) -> list[Series]:
    """Return one series for each name, with all its marks; the line goes through the median of the marks at the same place."""
    found = []
    for name, group in _by(entries, lambda entry: entry.series).items():
        marks = tuple(mark for mark in map(measure, group) if mark is not None)
        if not marks:
            continue
        at = {x: median(mark.y for mark in marks if mark.x == x) for x in sorted({mark.x for mark in marks})}
        line = tuple(at.items()) if joined and role in ("measured", "law") else ()
        found.append(Series(name, role, group[0].color, group[0].symbol, () if role == "law" else marks, line))
    return found


def _parts(colors: dict[str, int], shares: Sequence[dict[str, float]]) -> tuple[Part, ...]:
    """Return a part for each name that has some share, those with a colour of their own first."""
    present = {name for share in shares for name, value in share.items() if value}
    names = [*(name for name in colors if name in present), *sorted(present - colors.keys())]
    return tuple(
        Part(name, colors.get(name, index % COLORS), tuple(share.get(name, 0.0) for share in shares)) for index, name in enumerate(names)
    )


def _cycles(entry: Entry, role: Role) -> Mark | None:
    """Return cycles per step as ``role`` says: simulated, predicted, or by the law."""
    model, simulation = entry.row.model, entry.row.simulation
    if model is None or simulation is None or simulation.lanes < 1:
        return None
    x = model.weight_density * model.event_density
    law = model.macs.dense * x / simulation.lanes
    y = {"measured": simulation.cycles_per_step, "estimated": simulation.predicted_cycles_per_step, "law": law}[role]
    text = (
        f"{entry.name}\n{simulation.cycles_per_step:,.1f} cycles per step, {simulation.predicted_cycles_per_step:,.1f} predicted"
        f"\n{law:,.1f} by the law, weights {percent(model.weight_density)}, events {percent(model.event_density)}, {simulation.lanes} lanes"
    )
    return Mark(x, y, text) if x > 0 and y > 0 else None


def _front(sweep: str, entries: Sequence[Entry], measure: Measure, sign: int) -> Series:
    """Return the Pareto front of a sweep; ``sign`` is -1 where more of x is better."""
    marks = [mark for mark in map(measure, entries) if mark is not None]
    best = [mark for mark, kept in zip(marks, pareto([(sign * mark.x, mark.y) for mark in marks]), strict=True) if kept]
    best.sort(key=lambda mark: sign * mark.x)
    corners: list[tuple[float, float]] = []
    for mark in best:
        # What the points allow up to here is the quality of the one before.
        corners += [(mark.x, corners[-1][1])] if corners else []
        corners.append((mark.x, mark.y))
    return Series(f"{sweep}: Pareto front" if sweep else "Pareto front", "front", marks=tuple(best), line=tuple(corners))


def _baselines(entries: Sequence[Entry], metric: str, series: Sequence[Series]) -> list[Series]:
    """Return a level line for each n-gram model that the networks were measured beside."""
    places = [mark.x for one in series for mark in one.marks]
    models = [one.row.model for one in entries if one.row.model is not None and one.row.model.metric == metric]
    levels = {model.baseline: model.baseline_order for model in models if model.baseline is not None}
    left, right = 0.8 * min(places), 1.25 * max(places)
    return [Series(f"{order}-gram baseline", "baseline", line=((left, level), (right, level))) for level, order in levels.items()]


def _by(entries: Sequence[Entry], key: Callable[[Entry], str]) -> dict[str, list[Entry]]:
    groups: dict[str, list[Entry]] = {}
    for entry in entries:
        groups.setdefault(key(entry), []).append(entry)
    return groups


def _routed(entry: Entry) -> bool:
    return entry.row.build is not None and entry.row.build.source == "place and route"


def _step_cycles(entry: Entry) -> float | None:
    return None if entry.row.simulation is None else entry.row.simulation.cycles_per_step


def _steps_per_second(entry: Entry) -> float | None:
    return None if entry.row.build is None else entry.row.build.steps_per_second
