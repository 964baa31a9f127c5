"""Picks the hardware for a board: the smallest configuration close to the fastest that the board can hold, and why no faster one.

The candidates depend on the model and the device family, not on the board's size. Each has a number of cycles per step below which it
cannot go. In the order of that number they are sized (`hls_gen.resource_model`), and those that the board can hold are timed to the cycle
(`hls_gen.cycle_model`), until none is left that could be close to the fastest found. Of those within `CLOSE` of it the one of the fewest
tables is taken, so a larger board of the same family never gets one that is slower by more than that.
"""

import itertools
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from hls_gen.board import Board, Family
from hls_gen.cycle_model import Activity, CyclePrediction, operation_counts, predict
from hls_gen.datapath_timing import (
    BUS_TO_QUEUE,
    CLASS_TO_LOGIT,
    EMPTY_TO_DONE,
    END_TO_CLASSES,
    END_TO_ROWS,
    LOGIT_TO_DONE,
    PLACE_TO_EMPTY,
    QUEUE_RESERVE,
    QUEUE_TO_LANE,
    ROW_CYCLES,
    UPDATE_STAGES,
)
from hls_gen.device import DEVICES, Resource
from hls_gen.hardware_config import MAX_LANES, MAX_SHARED_LAYERS, BlockPlan, HardwareConfig, HardwarePlan
from hls_gen.lane_packing import Packing
from hls_gen.memory_image import address_bits
from hls_gen.resource_model import (
    BlockShape,
    ResourceEstimate,
    available,
    block_shapes,
    describe_amount,
    describe_board,
    describe_need,
    estimate_shapes,
    missing,
)
from hls_gen.sparse_encoding import GATES, PackedModel, pack
from sw_model.errors import UserError
from sw_model.quantized_model import QuantizedModel

# Lanes that share an update unit: four keep it full, and with more it is the unit that is waited for.
UNIT_LANES = (4, 8, 16)
# The smallest of those that are as fast as the fastest within this factor is chosen: tables cost routing time and clock.
CLOSE = 1.03
# Wider counters are better, but never worth a lane.
COUNTER_BITS = (40, 32, 24, 16)
# Queues where they are made of flip-flops: a deep one is better, a shallow one is much smaller.
REGISTER_QUEUES = (16, 8, QUEUE_RESERVE + 1)
REGISTER_EVENT_QUEUE = 12  # enough for an update unit of one lane, which takes a row every fourth cycle
# Likewise, where nothing fits with more: the least there is.
LAST_RESORT = {"event_queue_depth": 8, "stream_depth": 2}
# From an end item on the bus to the end of the step in an engine, without the update itself; likewise in the decoder, without the classes.
ENGINE_LATENCY = BUS_TO_QUEUE + QUEUE_TO_LANE + END_TO_ROWS + UPDATE_STAGES + PLACE_TO_EMPTY + EMPTY_TO_DONE
DECODER_LATENCY = BUS_TO_QUEUE + QUEUE_TO_LANE + END_TO_CLASSES + CLASS_TO_LOGIT + LOGIT_TO_DONE
SMALL_WEIGHT_BITS = 4  # what the remedy offers
# Steps of the ladder of lanes: a pace that is not so much faster than the one before is left out.
PACE_RATIO = 0.95
# A candidate whose lanes would all have the mean number of entries is not sized exactly when even that exceeds the board by so much.
SKETCH_MARGIN = 1.1


@dataclass(frozen=True)
class Candidate:
    """A configuration that might be chosen.

    Attributes:
        config: The configuration; its counters are chosen last.
        least_cycles: Cycles per step below which it cannot go.
    """

    config: HardwareConfig
    least_cycles: float


@dataclass(frozen=True)
class Fit:
    """What was chosen, and why.

    Attributes:
        board: The board.
        config: The choice.
        resources: What it takes.
        cycles: How fast it is.
        reason: What limits it.
    """

    board: Board
    config: HardwareConfig
    resources: ResourceEstimate
    cycles: CyclePrediction
    reason: str

    @property
    def shares(self) -> dict[Resource, float]:
        """Share of the part that is taken, by resource."""
        budget = {resource: int(getattr(self.board.budget, resource.value)) for resource in Resource}
        return {resource: self.resources.of(resource) / max(count, 1) for resource, count in budget.items()}


@dataclass(frozen=True)
class _Work:
    """What a block has to do in a step, whatever its lanes.

    Attributes:
        operations: Mean of the activity; groups of gates count in full.
        rows: Neurons of each layer, or classes.
        is_decoder: Whether it is the decoder.
    """

    operations: float
    rows: tuple[int, ...]
    is_decoder: bool

    def least_cycles(self, lanes: int, unit_lanes: int) -> float:
        """Return the cycles of a step that the block takes at least."""
        busy = self.operations / lanes
        if self.is_decoder:
            return max(busy, self.rows[0] + DECODER_LATENCY)
        turns = -(-_unit_share(lanes, unit_lanes) // ROW_CYCLES) * ROW_CYCLES
        return max(busy, sum(-(-count // lanes) for count in self.rows) * turns + ENGINE_LATENCY)

    def choices(self, unit_lanes: int) -> list[int]:
        """Return the numbers of lanes worth a thought: in an engine those that need no more update units than their number asks for."""
        every = range(1, min(MAX_LANES, *self.rows) + 1)
        if self.is_decoder:
            return list(every)
        return [lanes for lanes in every if lanes // _unit_share(lanes, unit_lanes) == -(-lanes // unit_lanes)]


def _unit_share(lanes: int, limit: int) -> int:
    """Return the lanes of an update unit, see `HardwareConfig.lanes_per_update_unit`."""
    return max(share for share in range(1, min(lanes, limit) + 1) if lanes % share == 0)


def fit(model: QuantizedModel, board: Board, activity: Activity, base: HardwareConfig | None = None) -> Fit:
    """Choose the hardware of ``model`` for ``board``.

    Args:
        model: The model.
        board: The board.
        activity: Who fires, see `hls_gen.cycle_model.record_activity`; a dozen steps tell enough.
        base: Fields that are set in it stay as they are.

    Raises:
        UserError: When nothing fits; it says what is needed, what there is, and what would help.
    """
    base = HardwareConfig() if base is None else base
    board = board.keeping_logits(model)
    found = _search(model, board, activity, base)
    shallower = {name: depth for name, depth in LAST_RESORT.items() if name not in base.model_fields_set}
    if isinstance(found, HardwareConfig) and shallower and not DEVICES[board.family].distributed:
        found = _search(model, board, activity, base.model_copy(update=shallower))
    if isinstance(found, HardwareConfig):
        raise _refusal(model, board, found, lambda: _single_port(model, board, activity, base))
    return found


def _search(model: QuantizedModel, board: Board, activity: Activity, base: HardwareConfig) -> Fit | HardwareConfig:
    """Return the choice, or the smallest configuration when not even that fits."""
    options = candidates(model, board.family, activity, base)
    sketches = _Sketches(model, board)
    fitting: list[Fit] = []
    enough = math.inf  # cycles per step from which on nothing is close to the fastest one found
    for option in options:
        if option.least_cycles > enough:
            break
        if sketches.excess(option.config) > SKETCH_MARGIN:
            continue
        packed = pack(model, option.config)
        if _busiest_lane(packed, activity) > enough:
            continue
        found = _with_counters(model, board, packed, base)
        if found is None:
            continue
        config, resources = found
        cycles = predict(model, packed, activity)
        fitting.append(Fit(board, config, resources, cycles, ""))
        enough = min(enough, CLOSE * cycles.cycles_per_step)
    if not fitting:
        smallest = min(options, key=lambda option: sketches.excess(option.config)).config
        counter_bits = base.counter_bits if "counter_bits" in base.model_fields_set else min(COUNTER_BITS)
        return smallest.model_copy(update={"counter_bits": counter_bits})
    close = [one for one in fitting if one.cycles.cycles_per_step <= enough]
    best = min(close, key=lambda one: (one.resources.lut, one.cycles.cycles))
    return replace(best, reason=_reason(model, best, options))


def candidates(model: QuantizedModel, family: Family, activity: Activity, base: HardwareConfig) -> list[Candidate]:
    """Return all candidates, those that might be fastest first; fields that are set in ``base`` do not vary."""
    shareable = 1 < len(model.layers) <= MAX_SHARED_LAYERS
    axes: dict[str, Sequence[Any]] = {
        "engines": ("per-layer", "shared") if shareable else ("per-layer",),
        "entry_format": ("single", "gate-group"),
        "lanes_per_update_unit": UNIT_LANES,
        "queue_depth": _queue_depths(family),
        "event_queue_depth": (base.event_queue_depth,) if DEVICES[family].distributed else (REGISTER_EVENT_QUEUE,),
    }
    pinned = {name: getattr(base, name) for name in base.model_fields_set}
    axes = {name: (pinned[name],) if name in pinned else values for name, values in axes.items()}
    found: dict[tuple[Any, ...], Candidate] = {}
    for values in itertools.product(*axes.values()):
        variant = base.model_copy(update=dict(zip(axes, values, strict=True)))
        works = _works(model, variant, activity)
        for lanes in [base.lanes] if "lanes" in pinned else _ladder(works, variant.lanes_per_update_unit):
            config = variant.model_copy(update={"lanes": lanes})
            every = (lanes,) * len(works) if isinstance(lanes, int) else lanes
            least = max(work.least_cycles(count, config.lanes_per_update_unit) for work, count in zip(works, every, strict=False))
            units = tuple(_unit_share(count, config.lanes_per_update_unit) for count in every[:-1])
            found.setdefault((config.engines, config.entry_format, config.queue_depth, lanes, units), Candidate(config, least))
    # The sort is stable: of candidates that might be as fast as each other, those that stand first above are tried first.
    return sorted(found.values(), key=lambda one: one.least_cycles)


def _queue_depths(family: Family) -> tuple[int, ...]:
    """Return the depths worth a thought: a queue that does not fill its distributed RAM is no cheaper."""
    distributed = DEVICES[family].distributed
    return (distributed[0].words,) if distributed else REGISTER_QUEUES


def _works(model: QuantizedModel, config: HardwareConfig, activity: Activity) -> list[_Work]:
    """Return the work of every block in a step."""
    layers = []
    for index, layer in enumerate(model.layers):
        operations = _walked_again(activity, index) @ _column_operations(layer.recurrent_weight, config)
        if index:
            operations += activity.fired[index - 1].mean(axis=0) @ _column_operations(layer.input_weight, config)
        layers.append(_Work(float(operations), (layer.neurons,), is_decoder=False))
    if config.engines == "shared" and len(layers) > 1:
        layers = [_Work(sum(one.operations for one in layers), tuple(one.rows[0] for one in layers), is_decoder=False)]
    decoder = float(activity.fired[-1].mean(axis=0) @ np.count_nonzero(model.decoder.weight, axis=0))
    return [*layers, _Work(decoder, (model.classes,), is_decoder=True)]


def _walked_again(activity: Activity, layer: int) -> np.ndarray:
    """Return how often a step's neurons fire, in the mean, and the sequence goes on: only then the layer walks their columns."""
    fired: np.ndarray = activity.fired[layer][~activity.last].sum(axis=0) / activity.steps
    return fired


def _column_operations(weight: np.ndarray, config: HardwareConfig) -> np.ndarray:
    """Return the operations that walk each column of ``weight`` (gates, rows, sources), all lanes together."""
    if config.entry_format == "gate-group":
        groups: np.ndarray = GATES * np.count_nonzero(weight.any(axis=0), axis=0)
        return groups
    single: np.ndarray = np.count_nonzero(weight, axis=(0, 1))
    return single


def _ladder(works: Sequence[_Work], unit_lanes: int) -> list[tuple[int, ...]]:
    """Return choices of lanes from few to many: for every pace that some block can have, each block has the fewest lanes that keep up."""
    tables = [[(lanes, work.least_cycles(lanes, unit_lanes)) for lanes in work.choices(unit_lanes)] for work in works]
    fastest = max(min(cycles for _, cycles in table) for table in tables)
    paces = [fastest]
    for pace in sorted({cycles for table in tables for _, cycles in table if cycles > fastest}):
        if pace * PACE_RATIO > paces[-1]:
            paces.append(pace)
    rungs = (tuple(next(lanes for lanes, cycles in table if cycles <= pace) for table in tables) for pace in reversed(paces))
    return list(dict.fromkeys(rungs))


class _Sketches:
    """Sizes candidates without dealing rows or entries to lanes: every lane is given the mean. That takes next to no time."""

    def __init__(self, model: QuantizedModel, board: Board) -> None:
        self._model, self._board = model, board
        self._narrow: dict[tuple[str, str], tuple[HardwarePlan, Sequence[BlockShape]]] = {}
        self._excess: dict[HardwareConfig, float] = {}

    def excess(self, config: HardwareConfig) -> float:
        """Return what the candidate needs ÷ what the board can give, of the resource that is exceeded most, with the smallest counters."""
        if config not in self._excess:
            self._excess[config] = self._worst(config.model_copy(update={"counter_bits": min(COUNTER_BITS)}))
        return self._excess[config]

    def _worst(self, config: HardwareConfig) -> float:
        # Room for other weights is left out: it is rounded up to powers of two, which a mean knows nothing of.
        if config.weights_may_change:
            config = config.model_copy(update={"weights": "fixed", "weight_capacity": None})
        key = (config.engines, config.entry_format)
        if key not in self._narrow:
            packed = pack(self._model, config.model_copy(update={"lanes": 1}))
            self._narrow[key] = packed.plan, block_shapes(packed)
        narrow, shapes = self._narrow[key]
        lanes = (config.lanes,) * len(narrow.blocks) if isinstance(config.lanes, int) else config.lanes
        blocks: list[BlockPlan] = []
        for block, count in zip(narrow.blocks, lanes, strict=True):
            blocks.append(_resized(block, count, config.lanes_per_update_unit, blocks[-1].slots if blocks else block.inputs))
        sketch = HardwarePlan(config, tuple(blocks[:-1]), blocks[-1])
        needed = estimate_shapes(
            self._model,
            sketch,
            [_dealt(shape, before, after) for shape, before, after in zip(shapes, narrow.blocks, blocks, strict=True)],
            self._board.family,
            link=self._board.link,
        )
        return max(needed.of(resource) / max(available(self._board, resource), 1) for resource in Resource)


def _resized(block: BlockPlan, lanes: int, unit_lanes: int, inputs: int) -> BlockPlan:
    """Return the plan of a block of one lane as it is with more of them, without saying which row goes where."""
    none = np.zeros(0, np.int64)
    parts, first = [], 0
    for part in block.parts:
        rows = -(-part.packing.rows // lanes)
        parts.append(replace(part, packing=Packing(lanes, rows, none, none), first_row=first))
        first += rows
    units = lanes // _unit_share(lanes, unit_lanes) if block.layers else 0
    return replace(block, parts=tuple(parts), inputs=inputs, lanes=lanes, rows=first, update_units=units)


def _dealt(shape: BlockShape, before: BlockPlan, after: BlockPlan) -> BlockShape:
    """Return the shape of a block of one lane as it is when its entries are dealt to more."""
    depth = max(1, shape.depths[0] // after.lanes)
    row_bits = address_bits(before.rows) - address_bits(after.rows)
    count_bits = max(1, shape.count_bits - (after.lanes.bit_length() - 1))
    return replace(
        shape,
        depths=(depth,) * after.lanes,
        entry_bits=shape.entry_bits - row_bits,
        start_bits=address_bits(depth),
        count_bits=count_bits,
    )


def _busiest_lane(packed: PackedModel, activity: Activity) -> float:
    """Return the operations of the busiest lane in a step, in the mean: the cycles of a step are no fewer."""
    plan = packed.plan
    busiest = 0.0
    for block, columns in zip(plan.blocks, packed.columns, strict=True):
        sent = np.zeros(block.columns)
        for layer, fired in enumerate(activity.fired):
            before, part = plan.place_of(layer)
            if before is block:
                sent[block.slot_of(part)] = _walked_again(activity, layer)
            elif block.inputs and before is _source(plan, block):
                sent[block.own + before.slot_of(part)] = fired.mean(axis=0) if layer in _outputs(before) else 0.0
        busiest = max(busiest, float((sent @ operation_counts(block, columns, plan.config)).max()))
    return busiest


def _outputs(block: BlockPlan) -> tuple[int, ...]:
    """Return the layer whose events leave the engine."""
    return block.layers[-1:]


def _source(plan: HardwarePlan, block: BlockPlan) -> BlockPlan:
    """Return the engine whose events ``block`` takes."""
    return plan.engines[-1] if block is plan.decoder else plan.engines[plan.engines.index(block) - 1]


def _with_counters(
    model: QuantizedModel, board: Board, packed: PackedModel, base: HardwareConfig
) -> tuple[HardwareConfig, ResourceEstimate] | None:
    """Return the configuration with the widest counters with which it fits, and what it takes; None when it does not."""
    shapes = block_shapes(packed)
    for bits in (base.counter_bits,) if "counter_bits" in base.model_fields_set else COUNTER_BITS:
        config = packed.plan.config.model_copy(update={"counter_bits": bits})
        needed = _needed(model, board, replace(packed, plan=replace(packed.plan, config=config)), shapes)
        if not missing(needed, board):
            return config, needed
    return None


def _needed(model: QuantizedModel, board: Board, packed: PackedModel, shapes: Sequence[BlockShape]) -> ResourceEstimate:
    return estimate_shapes(model, packed.plan, shapes, board.family, link=board.link)


def _reason(model: QuantizedModel, best: Fit, options: Iterable[Candidate]) -> str:
    """Say what keeps a faster configuration away: the next one with more lanes that does not fit, or the model."""
    if "lanes" in best.config.model_fields_set and len({option.config.lanes for option in options}) == 1:
        return f"lanes {_lanes_text(best.config)}: as asked for"
    same = ("engines", "entry_format", "queue_depth", "lanes_per_update_unit")
    faster = sorted(
        (
            option
            for option in options
            if all(getattr(option.config, name) == getattr(best.config, name) for name in same)
            and _total(option.config) > _total(best.config)
        ),
        key=lambda option: _total(option.config),
    )
    for option in faster:
        config = option.config.model_copy(update={"counter_bits": best.config.counter_bits})
        packed = pack(model, config)
        lacking = missing(_needed(model, best.board, packed, block_shapes(packed)), best.board)
        if lacking:
            needs = " and ".join(
                f"{count:,} more of the {describe_amount(best.board.family, resource)}" for resource, count in lacking.items()
            )
            return f"lanes {_lanes_text(best.config)}: {_lanes_text(config)} would need {needs} than the board can give"
    limit = best.cycles.limit
    return f"lanes {_lanes_text(best.config)}: the board could hold more, but they gain nothing ({limit.block}: {limit.term})"


def _total(config: HardwareConfig) -> int:
    return config.lanes if isinstance(config.lanes, int) else sum(config.lanes)


def _lanes_text(config: HardwareConfig) -> str:
    return str(config.lanes) if isinstance(config.lanes, int) else ",".join(map(str, config.lanes))


def _single_port(model: QuantizedModel, board: Board, activity: Activity, base: HardwareConfig) -> Fit | None:
    """Return what fits with the weights in single-port RAM, where the board has some and the user has not said where they go."""
    if not board.budget.spram or "weights" in base.model_fields_set:
        return None
    try:
        return fit(model, board, activity, base.model_copy(update={"weights": "single-port"}))
    except UserError:
        return None


def _refusal(model: QuantizedModel, board: Board, smallest: HardwareConfig, single_port: Callable[[], Fit | None]) -> UserError:
    """Return the error that says why not even the ``smallest`` configuration fits: what it lacks, and what would help.

    ``single_port`` searches what fits with the weights in single-port RAM; only asked for where block RAMs are lacking.
    """
    packed = pack(model, smallest)
    needed = _needed(model, board, packed, block_shapes(packed))
    resource = next(iter(missing(needed, board)))
    if resource is Resource.BRAM:
        remedy = _block_ram_remedy(model, board, packed, single_port())
    else:
        remedy = f"use a board with more {describe_amount(board.family, resource)}, or a model with fewer layers or bits"
    what = f"the smallest core of this model, lanes {_lanes_text(smallest)}, needs {describe_need(needed, resource)}"
    return UserError(what, f"but {describe_board(board, resource)}", remedy)


def _block_ram_remedy(model: QuantizedModel, board: Board, packed: PackedModel, single_port: Fit | None) -> str:
    """Say how sparse the model must be, or whether narrower weights do: what the block RAMs would then be is estimated, not known."""
    shapes = block_shapes(packed)
    sparsity = _sparsity_that_fits(model, board, packed, shapes)
    remedies = [f"use weights=single-port ({single_port.resources.bram} block RAMs)"] if single_port else []
    if sparsity:
        remedies.append(f"prune to >= {sparsity} %")
    if max(block.weight_bits for block in packed.plan.blocks) > SMALL_WEIGHT_BITS:
        narrow, narrow_shapes = _narrower(packed, shapes)
        count = _needed(model, board, narrow, narrow_shapes).bram
        if count <= board.budget.bram:
            remedies.append(f"use {SMALL_WEIGHT_BITS}-bit weights ({count} block RAMs)")
        elif (less := _sparsity_that_fits(model, board, narrow, narrow_shapes)) and less < (sparsity or 100):
            remedies.append(f"{'' if remedies else 'prune '}to >= {less} % with {SMALL_WEIGHT_BITS}-bit weights")
    if remedies:
        return " or ".join(remedies)
    bare = _needed(model, board, packed, _sparser(shapes, 0.0))
    return f"use a smaller model: without any weight it needs {describe_need(bare, Resource.BRAM)}"


def _sparsity_that_fits(model: QuantizedModel, board: Board, packed: PackedModel, shapes: Sequence[BlockShape]) -> int | None:
    """Return the least sparsity in percent at which the block RAMs would do, when all columns shrink alike; None when none is enough."""
    density = _density(model)
    for percent in range(int(100 * (1 - density)) + 1, 100):
        scaled = _sparser(shapes, (1 - percent / 100) / density)
        if _needed(model, board, packed, scaled).bram <= board.budget.bram:
            return percent
    return None


def _density(model: QuantizedModel) -> float:
    weights = [weight for layer in model.layers for weight in (layer.input_weight, layer.recurrent_weight)] + [model.decoder.weight]
    return max(sum(int(np.count_nonzero(weight)) for weight in weights), 1) / sum(weight.size for weight in weights)


def _sparser(shapes: Sequence[BlockShape], share: float) -> list[BlockShape]:
    return [replace(shape, depths=tuple(max(1, round(depth * share)) for depth in shape.depths)) for shape in shapes]


def _narrower(packed: PackedModel, shapes: Sequence[BlockShape]) -> tuple[PackedModel, list[BlockShape]]:
    """Return plan and shapes as they are with narrower weights: entries and sums lose the bits."""
    config, blocks, narrow = packed.plan.config, [], []
    for block, shape in zip(packed.plan.blocks, shapes, strict=True):
        fewer = max(block.weight_bits - SMALL_WEIGHT_BITS, 0)
        weights = GATES if config.entry_format == "gate-group" and block.layers else 1
        blocks.append(_with_bits(block, fewer))
        narrow.append(replace(shape, entry_bits=shape.entry_bits - weights * fewer))
    return replace(packed, plan=replace(packed.plan, engines=tuple(blocks[:-1]), decoder=blocks[-1])), narrow


def _with_bits(block: BlockPlan, fewer: int) -> BlockPlan:
    return replace(block, weight_bits=block.weight_bits - fewer, acc_bits=block.acc_bits - fewer)


def as_toml(config: HardwareConfig) -> Iterator[str]:
    """Yield the lines of the table [hardware] that makes ``config``."""
    yield "[hardware]"
    for name, value in config.model_dump(mode="json", exclude_none=True).items():
        text = f'"{value}"' if isinstance(value, str) else str(list(value) if isinstance(value, (list, tuple)) else value)
        yield f"{name} = {text}"
