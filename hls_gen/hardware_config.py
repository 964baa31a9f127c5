"""What the user chooses about the hardware, and what follows from it for one model."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal, Self

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, model_validator

from hls_gen.lane_packing import Packing, interleave_rows, pack_rows
from hls_gen.memory_image import address_bits
from hls_gen.registers import MAX_BLOCKS
from sw_model.errors import UserError
from sw_model.fixed_point import signed_bits, symmetric_limit
from sw_model.quantized_model import QuantizedDecoder, QuantizedLayer, QuantizedModel

LOGIT_BITS = 32
MAX_LANES = 64
MAX_SHARED_LAYERS = 8
SMALLEST_CAPACITY = 256  # words of the smallest block RAM (iCE40) at its full width


#: Of a word of a feature stream, {index, value}: the host link marks the end of a sequence in bit 15.
FEATURE_WORD_BITS = 15

#: Entries of a lane; more than the largest part holds.
MAX_CAPACITY = 1 << 20
Capacity = Annotated[int, Field(ge=1, le=MAX_CAPACITY)]


class HardwareConfig(BaseModel):
    """The user's choices; every model they do not fit is refused by `plan`.

    Attributes:
        engines: ``per-layer`` gives each layer lanes of its own, and the layers work on different time steps at once; with ``shared`` all
            layers run on the same lanes, each one time step behind the one before. The decoder always has its own lanes.
        lanes: Lanes of every block (each engine, then the decoder), or one number for each block.
        queue_depth: Places in the queue in front of each lane; five of them take what is on its way when the broadcast stops.
        event_queue_depth: Places for events that wait in an update unit; those of neurons under way count among them, and four stay free.
        lanes_per_update_unit: Most lanes that share one update unit; the largest divisor of the lanes that does not exceed it is used.
        packing: ``load`` deals the rows to the lanes by their non-zero weights; ``interleaved`` deals row r to lane r mod lanes, as
            column-balanced pruning assumes.
        entry_format: ``single`` stores one index per weight; ``gate-group`` one for the three gates of a neuron: smaller where pruning
            keeps or drops all three, else zeros are stored and walked.
        stream_depth: Events that wait between two layers.
        counter_bits: Width of the performance counters; they wrap.
        weights: ``fixed`` takes every width from the weights themselves; with ``swappable`` (in the finished bitstream) and ``loadable``
            (over AXI4-Lite) the hardware follows from the model's shape alone, and the weights may be exchanged (docs/weights.md). With
            ``single-port`` they are as fixed, but in RAM that starts empty, and that the host fills (the SPRAM of the iCE40 UP5K).
        weight_capacity: Entries that a lane holds, one number or one for each block; by default what the model needs, rounded up to whole
            block RAMs. Only for weights that may be exchanged.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    engines: Literal["per-layer", "shared"] = "per-layer"
    lanes: int | tuple[int, ...] = 16
    queue_depth: int = Field(default=16, ge=6, le=64)
    event_queue_depth: int = Field(default=32, ge=8, le=64)
    lanes_per_update_unit: int = Field(default=4, ge=1, le=16)
    packing: Literal["load", "interleaved"] = "load"
    entry_format: Literal["single", "gate-group"] = "single"
    stream_depth: int = Field(default=8, ge=2, le=64)
    counter_bits: int = Field(default=40, ge=16, le=64)
    weights: Literal["fixed", "swappable", "loadable", "single-port"] = "fixed"
    weight_capacity: Capacity | tuple[Capacity, ...] | None = None

    @property
    def weights_may_change(self) -> bool:
        """Whether other weights of the model's shape must fit the hardware."""
        return self.weights in ("swappable", "loadable")

    @property
    def starts_empty(self) -> bool:
        """Whether the host must load the weights before the hardware can work."""
        return self.weights == "single-port"

    @model_validator(mode="after")
    def _capacity_has_a_use(self) -> Self:
        if self.weight_capacity is not None and not self.weights_may_change:
            raise ValueError("weight_capacity is for weights = 'swappable' or 'loadable': give one of them, or leave it out")
        return self


@dataclass(frozen=True)
class BlockPart:
    """One matrix of a block: a layer of an engine, or the decoder.

    Attributes:
        layer: Index of the layer in the model; None for the decoder.
        packing: Lane of each row, and its place among the part's rows there.
        first_row: The part's first row in every lane.
        left_shift: Fraction bits that its sums lack to those of the block.
    """

    layer: int | None
    packing: Packing
    first_row: int
    left_shift: int


@dataclass(frozen=True)
class BlockPlan:
    """Lanes, rows and widths of one engine, or of the decoder.

    Row ``r`` of lane ``l`` has the physical index ``l * rows + r``; an event of a neuron carries its physical index.

    Attributes:
        name: ``layer0`` …, ``layers`` for an engine that all of them share, or ``decoder``.
        parts: The layers, or the decoder; each has the same rows of every lane.
        inputs: Physical indices of the block before; in the first one channels of features, 0 when the input is a token.
        lanes: Its lanes.
        rows: Rows of a lane, of all parts together, padding included.
        update_units: Update units; 0 in the decoder.
        field_bits: 2 in an engine (the sums r, gr, gx and z of a row), 0 in the decoder (one).
        weight_bits: Bits of a stored weight.
        acc_bits: Width of an accumulator.
        acc_frac: Fraction bits of the part that has most.
        capacity: Entries of every lane's memory; None when a lane has as many as the model needs there.
        longest_column: Most entries that a column of the block's shape can have in one lane.
    """

    name: str
    parts: tuple[BlockPart, ...]
    inputs: int
    lanes: int
    rows: int
    update_units: int
    field_bits: int
    weight_bits: int
    acc_bits: int
    acc_frac: int
    capacity: int | None
    longest_column: int

    @property
    def layers(self) -> tuple[int, ...]:
        """The layers of an engine, in order; none in the decoder."""
        return tuple(part.layer for part in self.parts if part.layer is not None)

    @property
    def slots(self) -> int:
        """Physical rows, padding included; in an engine also the number of physical event indices."""
        return self.lanes * self.rows

    @property
    def own(self) -> int:
        """Columns of the block's own events, which come first; none in the decoder."""
        return self.slots if self.layers else 0

    @property
    def columns(self) -> int:
        """All columns: own events; then input events, or where layers share the block the own events of a sequence's last step."""
        return self.own + (self.own if len(self.parts) > 1 else self.inputs)

    def slot_of(self, part: BlockPart) -> np.ndarray:
        """Return the physical index of each row of ``part``; int64."""
        slot: np.ndarray = part.packing.lane_of * self.rows + part.first_row + part.packing.row_of
        return slot

    def scatter(self, part: BlockPart, values: np.ndarray, placed: np.ndarray) -> None:
        """Write ``values`` (..., rows of the part) to their physical places in ``placed`` (..., slots)."""
        placed[..., self.slot_of(part)] = values


@dataclass(frozen=True)
class HardwarePlan:
    """Everything the RTL backend needs to know about one model on one configuration.

    Attributes:
        config: The user's choices.
        engines: The blocks that hold the layers.
        decoder: The decoder's block.
    """

    config: HardwareConfig
    engines: tuple[BlockPlan, ...]
    decoder: BlockPlan

    @property
    def blocks(self) -> tuple[BlockPlan, ...]:
        """All engines, then the decoder."""
        return (*self.engines, self.decoder)

    @property
    def lanes(self) -> int:
        """Lanes of all blocks together: the MACs that could be done in one cycle."""
        return sum(block.lanes for block in self.blocks)

    def place_of(self, layer: int) -> tuple[BlockPlan, BlockPart]:
        """Return the engine and the part of it that hold ``layer``."""
        return next((engine, part) for engine in self.engines for part in engine.parts if part.layer == layer)


def require_tokens(model: QuantizedModel, what: str) -> None:
    """Refuse a model of features where only tokens can be taken.

    Args:
        model: The model.
        what: What takes tokens only.

    Raises:
        UserError: When ``model`` reads features.
    """
    if model.channels:
        found = f"a model of {model.channels} channels of features"
        raise UserError(found, f"does not suit {what}, which takes tokens only", "give a model of tokens")


def _require_stream(model: QuantizedModel, config: HardwareConfig) -> None:
    """Refuse inputs that the input stream cannot carry, or the engine cannot take."""
    if model.tokens > 1 << 16:
        raise UserError(f"tokens={model.tokens}", "exceeds the 16-bit token stream", "use at most 65536 symbols")
    if not model.channels:
        return
    event_bits, index_bits = model.formats.event_bits, address_bits(model.channels)
    if index_bits + event_bits > FEATURE_WORD_BITS:
        rule = f"need {index_bits} bits of index beside {event_bits} of value, and a word of the input stream has {FEATURE_WORD_BITS}"
        raise UserError(f"{model.channels} channels", rule, "use fewer event bits or fewer features")
    if config.engines == "shared" and len(model.layers) > 1:
        rule = "takes tokens only: events would come between the steps that bring a layer to rest"
        raise UserError(f"engines=shared with {len(model.layers)} layers of a model of features", rule, "use engines=per-layer")
    if config.weights_may_change:
        raise UserError(f"weights={config.weights} of a model of features", "is for models of tokens", "use weights=fixed")


def plan(model: QuantizedModel, config: HardwareConfig) -> HardwarePlan:
    """Deal the rows of ``model`` to lanes and size every memory and accumulator.

    Raises:
        UserError: When the configuration cannot work for this model.
    """
    _require_stream(model, config)
    if len(model.layers) >= MAX_BLOCKS:
        raise UserError(
            f"a model of {len(model.layers)} layers", "has more counters than addresses", f"use at most {MAX_BLOCKS - 1} layers"
        )
    shared = config.engines == "shared" and len(model.layers) > 1
    if shared and len(model.layers) > MAX_SHARED_LAYERS:
        raise UserError(f"engines=shared with {len(model.layers)} layers", f"exceeds {MAX_SHARED_LAYERS}", "use engines=per-layer")
    groups = [list(range(len(model.layers)))] if shared else [[index] for index in range(len(model.layers))]
    names = ["layers"] if shared else [f"layer{index}" for index in range(len(model.layers))]
    smallest = [min(model.layers[index].neurons for index in group) for group in groups]
    names.append("decoder")
    lanes = _lanes(config, names, [*smallest, model.classes])
    capacities = _capacities(config, names)

    engines: list[BlockPlan] = []
    for name, group, count, capacity in zip(names, groups, lanes, capacities, strict=False):
        engines.append(_engine(model, config, name, group, count, engines[-1].slots if engines else model.channels, capacity))
    return HardwarePlan(config, tuple(engines), _decoder(model, config, lanes[-1], engines[-1].slots, capacities[-1]))


def _engine(
    model: QuantizedModel, config: HardwareConfig, name: str, group: list[int], lanes: int, inputs: int, capacity: int | None
) -> BlockPlan:
    formats = model.formats
    layers = [model.layers[index] for index in group]
    # Events carry formats.event_bits fraction bits in every layer.
    acc_frac = max(layer.weight_frac for layer in layers) + formats.event_bits
    parts: list[BlockPart] = []
    first_row = 0
    for index, layer in zip(group, layers, strict=True):
        load = np.count_nonzero(layer.input_weight, axis=(0, 2)) + np.count_nonzero(layer.recurrent_weight, axis=(0, 2))
        packing = _deal(config, load, lanes)
        parts.append(BlockPart(index, packing, first_row, acc_frac - layer.weight_frac - formats.event_bits))
        first_row += packing.rows
    weight_bits = max(layer.weight_bits for layer in layers)
    product_bits = weight_bits + formats.event_bits
    return BlockPlan(
        name=name,
        parts=tuple(parts),
        inputs=inputs,
        lanes=lanes,
        rows=first_row,
        update_units=lanes // _largest_divisor(lanes, config.lanes_per_update_unit),
        field_bits=2,
        weight_bits=weight_bits,
        acc_bits=max(_accumulator_bits(_sums(layer, config), None, formats.event_max, product_bits) for layer in layers),
        acc_frac=acc_frac,
        capacity=_capacity(config, name, capacity, lambda: _engine_entries(config, layers, parts, lanes)),
        longest_column=first_row * (1 if config.entry_format == "gate-group" else 3),
    )


def _decoder(model: QuantizedModel, config: HardwareConfig, lanes: int, inputs: int, capacity: int | None) -> BlockPlan:
    decoder, formats = model.decoder, model.formats
    acc_bits = _decoder_accumulator_bits(decoder, config, formats.event_max, decoder.weight_bits + formats.event_bits)
    if acc_bits > LOGIT_BITS:
        rule = f"exceeds the {LOGIT_BITS}-bit logit stream"
        raise UserError(f"decoder accumulator of {acc_bits} bits", rule, "use fewer weight or event bits")
    load = np.count_nonzero(decoder.weight, axis=1)
    packing = _deal(config, load, lanes)
    return BlockPlan(
        name="decoder",
        parts=(BlockPart(None, packing, 0, 0),),
        inputs=inputs,
        lanes=lanes,
        rows=packing.rows,
        update_units=0,
        field_bits=0,
        weight_bits=decoder.weight_bits,
        acc_bits=acc_bits,
        acc_frac=decoder.weight_frac + formats.event_bits,
        capacity=_capacity(config, "decoder", capacity, lambda: _largest_lane(packing, load)),
        longest_column=packing.rows,
    )


def _deal(config: HardwareConfig, load: np.ndarray, lanes: int) -> Packing:
    return pack_rows(load, lanes) if config.packing == "load" else interleave_rows(len(load), lanes)


def _lanes(config: HardwareConfig, names: list[str], rows: list[int]) -> tuple[int, ...]:
    lanes = (config.lanes,) * len(names) if isinstance(config.lanes, int) else config.lanes
    if len(lanes) != len(names):
        raise UserError(
            f"lanes={list(lanes)}",
            f"has {len(lanes)} numbers for {len(names)} blocks ({', '.join(names)})",
            f"give one number or {len(names)}",
        )
    for name, count, row_count in zip(names, lanes, rows, strict=True):
        limit = min(MAX_LANES, row_count)
        if not 1 <= count <= limit:
            raise UserError(f"lanes={count} of {name}", f"is outside 1 to {limit} ({row_count} rows)", f"choose 1 to {limit}")
    return lanes


def _capacities(config: HardwareConfig, names: list[str]) -> tuple[int | None, ...]:
    given = config.weight_capacity
    if given is None or isinstance(given, int):
        return (given,) * len(names)
    if len(given) != len(names):
        raise UserError(
            f"weight_capacity={list(given)}",
            f"has {len(given)} numbers for {len(names)} blocks ({', '.join(names)})",
            f"give one number or {len(names)}",
        )
    return given


def _capacity(config: HardwareConfig, name: str, given: int | None, needed: Callable[[], int]) -> int | None:
    """Return the entries of a lane's memory; None when each lane has what it needs."""
    if not config.weights_may_change:
        return None
    count = needed()
    if given is None:
        # A block RAM is deeper by a power of two where it is narrower, so a rounded-up depth costs no block that its rest would not.
        return max(SMALLEST_CAPACITY, 1 << (count - 1).bit_length())
    if count > given:
        raise UserError(f"{count} entries in a lane of {name}", f"exceed weight_capacity={given}", "prune more, or build with a larger one")
    return given


def _engine_entries(config: HardwareConfig, layers: Sequence[QuantizedLayer], parts: Sequence[BlockPart], lanes: int) -> int:
    """Return the entries of the fullest lane of an engine."""
    total = np.zeros(lanes, np.int64)
    for layer, part in zip(layers, parts, strict=True):
        # Where layers share the engine, the inputs have a second set of columns for the last step of a sequence.
        for weight, copies in ((layer.recurrent_weight, 1), (layer.input_weight, min(2, len(parts)))):
            stored = weight.any(axis=0) if config.entry_format == "gate-group" else np.count_nonzero(weight, axis=0)
            np.add.at(total, part.packing.lane_of, copies * stored.sum(axis=1, dtype=np.int64))
    return int(total.max())


def _largest_lane(packing: Packing, load: np.ndarray) -> int:
    return int(np.bincount(packing.lane_of, weights=load).max())


def _largest_divisor(number: int, limit: int) -> int:
    return max(d for d in range(1, min(number, limit) + 1) if number % d == 0)


def _sums(layer: QuantizedLayer, config: HardwareConfig) -> np.ndarray:
    """Return a row of weights for every sum: z and r take inputs and recurrence together; gx and gr, kept apart, are bounded by theirs."""
    if config.weights_may_change:
        return _extreme_rows(layer.inputs + layer.neurons, layer.weight_bits)
    merged = np.concatenate([layer.input_weight, layer.recurrent_weight], axis=2)
    return merged.reshape(-1, merged.shape[2])


def _extreme_rows(sources: int, weight_bits: int) -> np.ndarray:
    """Return the rows with the largest and the smallest sum that any weights of this shape can have."""
    limit = symmetric_limit(weight_bits)
    return np.array([[limit] * sources, [-limit] * sources])


def _decoder_accumulator_bits(decoder: QuantizedDecoder, config: HardwareConfig, event_max: int, product_bits: int) -> int:
    needed = _accumulator_bits(decoder.weight, decoder.bias, event_max, product_bits)
    if needed > LOGIT_BITS:
        low, high = _extremes(decoder.weight, decoder.bias, event_max)
        worst = int(np.argmax(np.maximum(high, -1 - low)))
        raise UserError(
            f"logit of class {worst}, which its weights and its bias of {decoder.bias[worst]} take from {low[worst]} to {high[worst]},",
            f"exceeds the {LOGIT_BITS}-bit logit stream",
            "train with smaller decoder biases, or use fewer weight or event bits",
        )
    if not config.weights_may_change:
        return needed
    # A bias has as much room as the sum that it is added to.
    bits = _accumulator_bits(_extreme_rows(decoder.weight.shape[1], decoder.weight_bits), None, event_max, product_bits) + 1
    if needed > bits:
        raise UserError(
            f"decoder bias of up to {int(np.abs(decoder.bias.astype(np.int64)).max())}",
            f"with its weights needs {needed} bits, where any model of this shape gets {bits}",
            "use weights=fixed, or train with smaller decoder biases",
        )
    return bits


def _accumulator_bits(rows: np.ndarray, bias: np.ndarray | None, event_max: int, product_bits: int) -> int:
    """Return the bits that hold every partial sum of every row, and a product."""
    low, high = _extremes(rows, bias, event_max)
    return max(signed_bits(int(low.min(initial=0)), int(high.max(initial=0))), product_bits)


def _extremes(rows: np.ndarray, bias: np.ndarray | None, event_max: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the smallest and the largest partial sum of each row, in any order (docs/semantics.md, section 7); int64."""
    weight = rows.astype(np.int64)
    high = np.maximum(weight, 0).sum(axis=1) * event_max
    low = np.minimum(weight, 0).sum(axis=1) * event_max
    if bias is not None:
        high += np.maximum(bias, 0)
        low += np.minimum(bias, 0)
    return low, high
