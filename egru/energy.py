"""What a time step does, counted: MACs, memory accesses and the bits they move; and what that costs by a model of energy per operation.

docs/energy.md says how each count is known and what is not claimed. Nothing here is a measurement of energy.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Self

import numpy as np
from pydantic import Field, model_validator

from egru.config import StrictModel
from hls_gen.backend import Backend
from hls_gen.block_memories import lane_memories, place_bits
from hls_gen.cycle_model import Activity, operation_counts, record_activity
from hls_gen.hardware_config import BlockPart, BlockPlan, HardwareConfig, HardwarePlan
from hls_gen.memory_image import address_bits
from hls_gen.sparse_encoding import LaneColumns, PackedModel, pack
from sim.equivalence import BlockWork, EquivalenceResult
from sw_model.errors import UserError
from sw_model.fixed_point import Formats
from sw_model.quantized_model import QuantizedModel
from sw_model.strict_toml import load_toml

MODELS = Path(__file__).resolve().parent / "energy_models"


class Operation(StrEnum):
    """What is counted; docs/energy.md has the formula of each."""

    MAC = "mac"
    UPDATE_MULTIPLY = "update_multiply"
    EVENT = "event"
    DIRECTORY_READ = "directory_read"
    WEIGHT_READ = "weight_read"
    ACCUMULATOR_READ = "accumulator_read"
    ACCUMULATOR_WRITE = "accumulator_write"
    INPUT_READ = "input_read"
    PARAMETER_READ = "parameter_read"
    LOOKUP_READ = "lookup_read"
    STATE_READ = "state_read"
    STATE_WRITE = "state_write"
    QUEUE_READ = "queue_read"
    QUEUE_WRITE = "queue_write"
    COUNTER_READ = "counter_read"
    COUNTER_WRITE = "counter_write"
    REGISTER_TOGGLE = "register_toggle"


class Known(StrEnum):
    """How a count is known: counted in simulation, or derived from what was counted and from the architecture."""

    MEASURED = "measured"
    DERIVED = "derived"


_MEASURED = (Operation.MAC, Operation.EVENT, Operation.REGISTER_TOGGLE)
# Arithmetic moves no bits of a memory.
_WITHOUT_BITS = (Operation.MAC, Operation.UPDATE_MULTIPLY)
_SUMS = 4  # of a neuron: r, gr, gx, z
_LOOKUPS = 3  # of a neuron: r, z, g


@dataclass(frozen=True)
class Count:
    """How often something was done in all steps together.

    Attributes:
        number: Times.
        bits: Bits that memories gave or took; 0 for arithmetic.
    """

    number: int = 0
    bits: int = 0

    def __add__(self, other: "Count") -> "Count":
        """Add both."""
        return Count(self.number + other.number, self.bits + other.bits)


@dataclass
class Counts:
    """What a run did while the core was busy.

    Attributes:
        steps: Time steps.
        by_operation: Only what was counted: no register toggles where nobody asked for them.
    """

    steps: int
    by_operation: dict[Operation, Count] = field(default_factory=dict)

    def add(self, operation: Operation, number: int, width: int = 0) -> None:
        """Count ``operation``, ``number`` times, on words of ``width`` bits."""
        self.by_operation[operation] = self.by_operation.get(operation, Count()) + Count(int(number), int(number) * width)


# What a terminal shows as it is.
_Words = Annotated[str, Field(min_length=1, max_length=400, pattern=r"^[^\x00-\x1f\x7f-\x9f]*$")]


class Constant(StrictModel):
    """The energy of one operation.

    Attributes:
        pj: Picojoules each time.
        pj_per_bit: Picojoules for each bit that is read or written; one of the two is given.
        source: Where the figure is from.
    """

    pj: float | None = Field(default=None, ge=0, le=1e9)
    pj_per_bit: float | None = Field(default=None, ge=0, le=1e9)
    source: _Words

    @model_validator(mode="after")
    def _check_unit(self) -> Self:
        if (self.pj is None) == (self.pj_per_bit is None):
            raise ValueError("one of pj and pj_per_bit is needed, and only one")
        return self

    def energy(self, count: Count) -> float:
        """Return the picojoules of ``count``."""
        return count.number * self.pj if self.pj is not None else count.bits * (self.pj_per_bit or 0)


class EnergyModel(StrictModel):
    """A file of constants.

    Attributes:
        title: Short.
        technology: What the figures hold for, e.g. ``45 nm CMOS at 0.9 V``.
        source: What can be cited.
        operations: An operation that is not here has no energy in this model.
    """

    title: _Words
    technology: _Words
    source: _Words
    operations: Annotated[dict[Operation, Constant], Field(min_length=1)]

    @model_validator(mode="after")
    def _check_bits(self) -> Self:
        for operation, constant in self.operations.items():
            if operation in _WITHOUT_BITS and constant.pj_per_bit is not None:
                raise ValueError(f"{operation} moves no bits of a memory: give pj")
        return self


def load_energy_model(name: str) -> EnergyModel:
    """Read a file of constants: one that ships, by its name, or any by its path.

    Raises:
        UserError: When there is none, or it will not do.
    """
    shipped = sorted(path.stem for path in MODELS.glob("*.toml"))
    if name in shipped:
        return load_toml(MODELS / f"{name}.toml", EnergyModel)
    if not name.endswith(".toml"):
        raise UserError(f"energy model {name}", "is neither one that ships nor a TOML file", f"give {', '.join(shipped)}, or a file.toml")
    return load_toml(Path(name), EnergyModel)


def count_operations(
    result: EquivalenceResult,
    model: QuantizedModel,
    hardware: HardwareConfig | HardwarePlan | PackedModel,
    sequences: Sequence[Any],
) -> Counts:
    """Count what generated RTL did in a simulation.

    Args:
        result: The simulation. Every event in it was compared with the reference, so the reference says which columns were walked.
        model: The model.
        hardware: Its configuration, or what has been made of it already.
        sequences: The tokens, or input events, that were simulated.

    Raises:
        UserError: When the configuration cannot work for this model.
        ValueError: When ``result`` is not of RTL, or of another model, hardware or inputs.
    """
    if result.backend is not Backend.RTL:
        raise ValueError("what memories HLS C++ becomes is up to its compiler")
    packed = pack(model, hardware)
    plan, formats = packed.plan, model.formats
    activity = record_activity(model, sequences)
    if activity.steps != result.steps:
        raise ValueError(f"{activity.steps} steps of inputs, {result.steps} steps simulated")
    counts = Counts(result.steps, {operation: Count() for operation in Operation if operation is not Operation.REGISTER_TOGGLE})
    engine_steps = (*result.engine_steps, result.steps)  # the decoder sees every token once
    for block, columns, work, ends in zip(plan.blocks, packed.columns, result.blocks, engine_steps, strict=True):
        sent = _sent(plan, block, activity)
        macs = int(sent @ np.sum([lane.count for lane in columns], axis=0))
        if macs != work.counters["macs"]:
            raise ValueError(f"{block.name} did {work.counters['macs']} MACs, not the {macs} that follow from model, hardware and inputs")
        _count_walk(counts, plan.config, block, columns, sent, ends, formats.event_bits)
        _count_work(counts, block, work, formats.event_bits)
        for access in (Operation.COUNTER_READ, Operation.COUNTER_WRITE):
            counts.add(access, result.cycles, plan.config.counter_bits)
    for engine in plan.engines:
        _count_updates(counts, engine, formats)
        # To the next block go the last layer's events, and the end of every step.
        item_bits = address_bits(engine.slots) + formats.event_bits + 2
        _count_queue(counts, int(_events(engine, engine.parts[-1:], activity).sum()) + result.steps, item_bits)
    _count_logits(counts, plan.decoder, model.classes)
    if result.toggles:
        counts.add(Operation.REGISTER_TOGGLE, sum(result.toggles.values()), 1)
    return counts


def _events(block: BlockPlan, parts: Sequence[BlockPart], activity: Activity, steps: np.ndarray | None = None) -> np.ndarray:
    """Return how often each physical index of ``block`` fired, int64, as far as it is of ``parts`` and in ``steps`` (all if not given)."""
    fired = np.zeros(block.slots, np.int64)
    for part in parts:
        chosen = activity.fired[part.layer or 0] if steps is None else activity.fired[part.layer or 0][steps]
        block.scatter(part, chosen.sum(axis=0), fired)
    return fired


def _input_events(activity: Activity) -> np.ndarray:
    """Return how often each channel of features had an event, int64, shape (channels,); nothing where tokens are read."""
    return np.zeros(0, np.int64) if activity.inputs is None else activity.inputs.sum(axis=0, dtype=np.int64)


def _sent(plan: HardwarePlan, block: BlockPlan, activity: Activity) -> np.ndarray:
    """Return how often each column of ``block`` went over its bus, int64, shape (columns,).

    Own events of a sequence's last step do not come back; where layers share the block they go on to the next layer by other columns.
    """
    place = plan.blocks.index(block)
    before = plan.blocks[place - 1] if place else None
    own = _events(block, block.parts, activity, ~activity.last) if block.layers else np.zeros(0, np.int64)
    if len(block.parts) > 1:
        onward = _events(block, block.parts[:-1], activity, activity.last)
    else:
        onward = _events(before, before.parts[-1:], activity) if before else _input_events(activity)
    return np.concatenate([own, onward])


def _count_walk(
    counts: Counts, config: HardwareConfig, block: BlockPlan, columns: list[LaneColumns], sent: np.ndarray, ends: int, event_bits: int
) -> None:
    """Count what the lanes of ``block`` do with ``sent`` columns and the ends of ``ends`` steps."""
    memories = lane_memories(block, columns, config)
    place = sum(place_bits(block, memories))
    operations = operation_counts(block, columns, config)
    walked = int(sent @ operations.sum(axis=1))
    counts.add(Operation.DIRECTORY_READ, sent.sum(), block.lanes * place)
    _count_queue(counts, int(sent @ (operations > 0).sum(axis=1)) + ends * block.lanes, 1 + event_bits + place)
    counts.add(Operation.WEIGHT_READ, walked, memories[0].bits)
    _count_accumulator(counts, block, walked)


def _count_work(counts: Counts, block: BlockPlan, work: BlockWork, event_bits: int) -> None:
    """Count what the hardware's own counters say, and the queues that its events pass: of an update unit and of the arbiter."""
    event, events = address_bits(block.slots) + event_bits, work.counters["own_events"]
    counts.add(Operation.MAC, work.counters["macs"])
    counts.add(Operation.EVENT, events, event)
    _count_queue(counts, events, event + (2 if len(block.parts) > 1 else 0))
    _count_queue(counts, events, event + 2)


def _count_updates(counts: Counts, engine: BlockPlan, formats: Formats) -> None:
    """Count the element-wise update: every row of every lane in every step, those that only fill up a lane too."""
    rows = engine.slots * counts.steps
    _count_accumulator(counts, engine, _SUMS * rows)
    counts.add(Operation.UPDATE_MULTIPLY, 2 * rows)
    counts.add(Operation.INPUT_READ, rows, 3 * formats.preact_bits)
    counts.add(Operation.PARAMETER_READ, rows, formats.preact_bits)  # d
    counts.add(Operation.PARAMETER_READ, rows, formats.state_frac)  # threshold
    counts.add(Operation.LOOKUP_READ, (_LOOKUPS - 1) * rows, formats.gate_bits)
    counts.add(Operation.LOOKUP_READ, rows, formats.gate_bits + 1)
    counts.add(Operation.STATE_READ, rows, formats.state_bits)
    counts.add(Operation.STATE_WRITE, rows, formats.state_bits)


def _count_logits(counts: Counts, decoder: BlockPlan, classes: int) -> None:
    logits = classes * counts.steps
    _count_accumulator(counts, decoder, logits)
    counts.add(Operation.PARAMETER_READ, logits, address_bits(decoder.lanes) + address_bits(decoder.rows))  # order
    counts.add(Operation.PARAMETER_READ, logits, decoder.acc_bits)  # bias
    _count_queue(counts, logits, decoder.acc_bits + 2)


def _count_accumulator(counts: Counts, block: BlockPlan, number: int) -> None:
    """Count words that are read and written back: grown by a product, or emptied as they are read for the update."""
    for access in (Operation.ACCUMULATOR_READ, Operation.ACCUMULATOR_WRITE):
        counts.add(access, number, block.acc_bits + 1)


def _count_queue(counts: Counts, items: int, width: int) -> None:
    for access in (Operation.QUEUE_WRITE, Operation.QUEUE_READ):
        counts.add(access, items, width)


def describe(counts: Counts, model: EnergyModel | None) -> dict[str, Any]:
    """Return counts, and energies by ``model`` where one is given, as JSON values per step.

    ``pj_per_step`` stands beside what was counted and is no measurement; ``without_energy`` names what the model says nothing of.
    """
    rows: list[dict[str, Any]] = []
    for operation, count in counts.by_operation.items():
        constant = model.operations.get(operation) if model else None
        rows.append(
            {
                "operation": operation.value,
                "per_step": count.number / counts.steps,
                "bits_per_step": None if operation in _WITHOUT_BITS else count.bits / counts.steps,
                "known": (Known.MEASURED if operation in _MEASURED else Known.DERIVED).value,
                "pj_per_step": constant.energy(count) / counts.steps if constant else None,
            }
        )
    energies = [row["pj_per_step"] for row in rows if row["pj_per_step"] is not None]
    modelled = (
        {
            "title": model.title,
            "technology": model.technology,
            "source": model.source,
            "statement": f"a model of {model.technology}, not a measurement, and not of an FPGA",
            "pj_per_step": sum(energies),
            "without_energy": [row["operation"] for row in rows if row["pj_per_step"] is None],
        }
        if model
        else None
    )
    return {"steps": counts.steps, "operations": rows, "energy_model": modelled}
