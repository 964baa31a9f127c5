"""Folders of sweeps, made up: numbers that follow simple formulas, models drawn at random."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from egru.sweep.table import (
    SWEEP_FILE,
    BlockFigures,
    BuildFigures,
    LayerFigures,
    ModelFigures,
    Point,
    Row,
    SimulationFigures,
    SweepResults,
)
from sw_model.macs import MacsSummary
from sw_model.quantized_model import QuantizedModel
from sw_model.random_model import RandomModelSpec, random_model

EVENT_DENSITY = 0.2


@dataclass(frozen=True)
class Target:
    """A board; ``lut`` and ``bram`` are what a core takes at least, and what its dense weights take on top."""

    name: str
    available: dict[str, int]
    lut: tuple[int, int]
    bram: tuple[int, int]
    lanes: int
    clock_mhz: float | None
    target_mhz: float | None


ULX3S = Target("ulx3s_85f", {"lut": 83_640, "ff": 83_640, "bram": 208, "dsp": 156}, (7_000, 9_000), (24, 150), 13, 96.0, 50.0)
ICEBREAKER = Target("icebreaker", {"lut": 5_280, "ff": 5_280, "bram": 30, "dsp": 8}, (3_900, 900), (11, 36), 2, 31.0, 12.0)
ARTY = Target("arty_a7_100t", {"lut": 63_400, "ff": 126_800, "bram": 270, "dsp": 240}, (5_600, 7_400), (26, 160), 16, None, None)


def sparse_model(density: float) -> QuantizedModel:
    return random_model(RandomModelSpec(hidden=(24, 20), tokens=12, classes=12, density=density))


def make_sweep(
    folder: Path,
    *,
    title: str = "Six sparsities on three boards",
    sparsities: tuple[float, ...] = (0.0, 0.5, 0.9),
    targets: tuple[Target, ...] = (ULX3S, ICEBREAKER, ARTY),
    factor: float = 1.0,
    draw: Callable[[float], QuantizedModel] = sparse_model,
) -> SweepResults:
    """Write a sweep; what does not fit a board fails, and the last point is still waited for.

    Args:
        folder: Where to.
        title: Of the sweep.
        sparsities: Of its points.
        targets: Its boards.
        factor: On all cycles.
        draw: Makes a model of a weight density.
    """
    rows = []
    for sparsity in sparsities:
        model = draw(1 - sparsity)
        name = f"models/{100 * sparsity:.0f}"
        model.save(folder / name)
        rng = np.random.default_rng(7)
        layers = {f"layer{index}": rng.random((96, layer.neurons)) < EVENT_DENSITY for index, layer in enumerate(model.layers)}
        np.savez(folder / f"{name}.npz", allow_pickle=False, **layers)
        rows += [_row(sparsity, target, model, name, factor) for target in targets]
    rows.append(Row(name=f"s0.99-{targets[0].name}", point=rows[-1].point.model_copy(update={"sparsity": 0.99}), status="waiting"))
    results = SweepResults(
        title=title,
        text={"name": "pydoc-topics", "unit": "characters", "held_out": 23_249},
        versions={"egru-fpga": "0.1.0", "python": "3.11.7", "yosys": "0.70", "nextpnr": "0.11.1"},
        config={"grid": {"sparsity": list(sparsities), "board": [target.name for target in targets]}, "train": {"steps": 4000, "seed": 1}},
        started="2025-03-01T08:30:00Z",
        rows=tuple(rows),
    )
    write_table(folder, results)
    return results


def write_table(folder: Path, results: SweepResults) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / SWEEP_FILE).write_text(results.model_dump_json(indent=1))


def _row(sparsity: float, target: Target, model: QuantizedModel, name: str, factor: float) -> Row:
    density = 1 - sparsity
    figures = _model_figures(sparsity, model)
    cycles = factor * (1.04 * figures.macs.event_sparse / target.lanes + 31)
    seconds = {"train": 310.5, "prune": 200.25 if sparsity else 0.0, "generate": 2.5, "simulate": 41.0}
    row = Row(
        name=f"s{sparsity:.2f}-{target.name}",
        point=Point(
            sparsity=sparsity, weight_bits=8, hidden_sizes=tuple(layer.neurons for layer in model.layers), seed=1, board=target.name
        ),
        status="done",
        model=figures,
        simulation=_simulation_figures(figures, target, cycles),
        artifact=name,
        raster=f"{name}.npz",
        stages={stage: f"{stage}-{figures.hash[:8]}" for stage in seconds},
        seconds=seconds,
    )
    bram = round(target.bram[0] + target.bram[1] * density)
    if bram > target.available["bram"]:
        reason = f"{bram} block RAMs exceed the {target.available['bram']} of {target.name}; prune further, or take a larger board"
        return row.model_copy(update={"status": "failed", "failed_stage": "place and route", "reason": reason})
    clock = None if target.clock_mhz is None else target.clock_mhz + 6 * sparsity
    build = BuildFigures(
        source="yosys, an estimate" if clock is None else "place and route",
        lut=round(target.lut[0] + target.lut[1] * density),
        ff=round(0.62 * (target.lut[0] + target.lut[1] * density)),
        bram=bram,
        dsp=target.lanes + 6,
        available=target.available,
        clock_mhz=clock,
        clock_mhz_per_seed={} if clock is None else {1: clock - 2, 2: clock, 3: clock + 1},
        target_mhz=target.target_mhz,
        timing_met=None if clock is None else True,
        steps_per_second=None if target.target_mhz is None else 1e6 * target.target_mhz / cycles,
    )
    return row.model_copy(update={"build": build, "seconds": seconds | {"place and route": 95.0}})


def _model_figures(sparsity: float, model: QuantizedModel) -> ModelFigures:
    layers = []
    for index, layer in enumerate(model.layers):
        dense = float(layer.recurrent_weight.size + layer.input_weight.size)
        macs = MacsSummary(dense=dense, weight_sparse=dense * (1 - sparsity), event_sparse=dense * (1 - sparsity) * EVENT_DENSITY)
        layers.append(
            LayerFigures(name=f"layer{index}", neurons=layer.neurons, weight_density=1 - sparsity, event_density=EVENT_DENSITY, macs=macs)
        )
    dense = sum(layer.macs.dense for layer in layers) + model.decoder.weight.size
    return ModelFigures(
        metric="bits per character",
        quality=1.52 + 0.6 * sparsity**6,
        quality_float=1.51 + 0.6 * sparsity**6,
        quality_dense=1.51,
        baseline=1.75,
        baseline_order=6,
        weight_density=1 - sparsity,
        event_density=EVENT_DENSITY,
        macs=MacsSummary(dense=dense, weight_sparse=dense * (1 - sparsity), event_sparse=dense * (1 - sparsity) * EVENT_DENSITY),
        layers=tuple(layers),
        memory_bits=round(14 * dense * (1 - sparsity)),
        hash=model.content_hash(),
    )


def _simulation_figures(model: ModelFigures, target: Target, cycles: float) -> SimulationFigures:
    occupancy = model.macs.event_sparse / target.lanes / cycles
    blocks = []
    for index, name in enumerate([layer.name for layer in model.layers] + ["decoder"]):
        useful = occupancy * (1 - 0.1 * index)
        lost = 1 - useful
        waste, stalls = {"fetch": 0.25 * lost, "idle": 0.75 * lost}, {"bus": 0.4 * lost, "output": 0.1 * index}
        blocks.append(BlockFigures(name=name, lanes=1, useful=useful, waste=waste, stalls=stalls))
    macs = model.macs.event_sparse
    return SimulationFigures(
        steps=500,
        events=31_968,
        values=307_519,
        mismatches=0,
        cycles_per_step=cycles,
        predicted_cycles_per_step=cycles * 1.002,
        lanes=target.lanes,
        occupancy=occupancy,
        blocks=tuple(blocks),
        macs_per_step=macs,
        counts_per_step={
            **{"mac": macs, "event": 83.0, "update_multiply": 832.0, "register_toggle": 30.0 * macs, "directory_read": 80.0},
            **{
                "weight_read": macs,
                "accumulator_read": 1.1 * macs,
                "accumulator_write": 1.1 * macs,
                "queue_read": 90.0,
                "queue_write": 90.0,
            },
        },
    )
