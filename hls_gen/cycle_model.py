"""How many clock cycles a model takes on a hardware configuration, without simulating the RTL.

The model follows the generated datapath item by item, with the columns as they were packed and the events as they were fired
(`hls_gen.datapath_timing`), and is exact to the cycle as long as the outside world never makes the core wait: the next token, or word of a
feature stream, always stands ready, also across sequences, and every logit is taken at once. What the host link adds is left out.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from hls_gen.block_memories import lane_memories
from hls_gen.datapath_timing import Decoder, Engine, EngineStep, Lanes, Moment, Stream, Term, TokenStream, WordStream, simulate
from hls_gen.hardware_config import BlockPlan, HardwareConfig, HardwarePlan
from hls_gen.sparse_encoding import GATES, LaneColumns, PackedModel, pack
from sw_model.quantized_model import QuantizedModel
from sw_model.reference import BatchedReference


@dataclass(frozen=True)
class Activity:
    """Who fired when, over sequences one after the other.

    Attributes:
        fired: Per layer bool, shape (steps, neurons).
        last: bool, shape (steps,): the steps that end a sequence.
        inputs: Of a model of features which channels have an event, bool, shape (steps, channels); None of one of tokens.
    """

    fired: tuple[np.ndarray, ...]
    last: np.ndarray
    inputs: np.ndarray | None = None

    def __post_init__(self) -> None:
        """Check that there is something, and as much of everything."""
        steps = {len(fired) for fired in self.fired} | {len(self.last)} | (set() if self.inputs is None else {len(self.inputs)})
        if len(steps) != 1 or 0 in steps:
            raise ValueError(f"{sorted(steps)} steps: every layer needs the same number of them, one or more")
        if not self.last[-1]:
            raise ValueError("the last step does not end its sequence")

    @property
    def steps(self) -> int:
        """Time steps, of all sequences together."""
        return len(self.last)


@dataclass(frozen=True)
class BlockPrediction:
    """What the lanes of one engine, or of the decoder, do.

    Attributes:
        name: ``layer0`` …, ``layers`` (all on the same lanes) or ``decoder``.
        lanes: Its lanes.
        macs: Useful MACs.
        fetch_slots: Lane-cycles with an event on its way but no MAC.
        idle_slots: Lane-cycles with nothing to do.
    """

    name: str
    lanes: int
    macs: int
    fetch_slots: int
    idle_slots: int

    @property
    def occupancy(self) -> float:
        """Share of the block's lane-cycles that do a useful MAC."""
        return self.macs / (self.macs + self.fetch_slots + self.idle_slots)


@dataclass(frozen=True)
class Share:
    """Cycles that a run waits for one thing: a part of its critical path.

    Attributes:
        block: Where.
        term: For what.
        cycles: How long.
    """

    block: str
    term: Term
    cycles: int


@dataclass(frozen=True)
class CyclePrediction:
    """What a run costs.

    Attributes:
        steps: Time steps.
        cycles: Clock cycles from the first token to the last logit: the core's own cycle counter.
        blocks: Every engine, then the decoder.
        critical_path: What those cycles were spent on, the largest share first; the shares add up to ``cycles``.
    """

    steps: int
    cycles: int
    blocks: tuple[BlockPrediction, ...]
    critical_path: tuple[Share, ...]

    @property
    def cycles_per_step(self) -> float:
        """Mean clock cycles of a time step, everything counted."""
        return self.cycles / self.steps

    @property
    def occupancy(self) -> float:
        """Share of all lane-cycles that do a useful MAC."""
        return sum(block.macs for block in self.blocks) / (self.cycles * sum(block.lanes for block in self.blocks))

    @property
    def limit(self) -> Share:
        """The largest share of the critical path."""
        return self.critical_path[0]


def record_activity(model: QuantizedModel, sequences: Sequence[Any]) -> Activity:
    """Run the integer reference over ``sequences``, none empty, and record who fires; the state starts at zero in each.

    Args:
        model: The model.
        sequences: Of each its tokens, or the input events of its steps, int, shape (steps, channels), in the order of the channels.
    """
    reference = BatchedReference(model)
    steps = [step for sequence in sequences for step in reference.run(np.array([sequence], np.int64))]
    fired = tuple(np.concatenate([step.fired[layer] for step in steps]) for layer in range(len(model.layers)))
    last = np.zeros(len(steps), bool)
    last[np.cumsum([len(sequence) for sequence in sequences]) - 1] = True
    inputs = np.concatenate([np.asarray(sequence) > 0 for sequence in sequences]) if model.channels else None
    return Activity(fired, last, inputs)


def predict(model: QuantizedModel, hardware: HardwareConfig | HardwarePlan | PackedModel, activity: Activity) -> CyclePrediction:
    """Predict the clock cycles of ``model``.

    Args:
        model: The model.
        hardware: Its configuration, or what has been made of it already.
        activity: Who fires, see `record_activity`.

    Raises:
        UserError: When the configuration cannot work for this model.
    """
    packed = pack(model, hardware)
    hardware, columns = packed.plan, packed.columns
    lanes = [
        Lanes(block.name, operation_counts(block, found, hardware.config), hardware.config.queue_depth)
        for block, found in zip(hardware.blocks, columns, strict=True)
    ]
    source: Stream = TokenStream(activity.steps) if activity.inputs is None else WordStream(activity.inputs)
    engines = []
    for block, mine in zip(hardware.engines, lanes, strict=False):
        output = Stream(hardware.config.stream_depth)
        row_ends = [part.first_row + part.packing.rows for part in block.parts]
        steps = list(_engine_steps(block, activity))
        engine = Engine(
            block.name,
            mine,
            source,
            output,
            units=block.update_units,
            event_queue_depth=hardware.config.event_queue_depth,
            row_ends=row_ends,
            steps=steps,
        )
        engines.append(engine)
        source = output
    decoder = Decoder(lanes[-1], source, hardware.decoder.rows, model.classes)
    simulate(engines, decoder, activity.steps)

    cycles, critical_path = _critical_path(decoder.last_logit)
    blocks = [_block_prediction(*found, cycles) for found in zip(hardware.blocks, lanes, columns, strict=True)]
    return CyclePrediction(activity.steps, cycles, tuple(blocks), critical_path)


def operation_counts(block: BlockPlan, columns: list[LaneColumns], config: HardwareConfig) -> np.ndarray:
    """Return how many operations walk each column in each lane, int64, shape (columns, lanes)."""
    if config.entry_format == "single" or not block.layers:
        return np.stack([lane.count for lane in columns], axis=1)
    # A group is walked in full, zeros included.
    return GATES * np.stack([memory.count for memory in lane_memories(block, columns, config)], axis=1)


def _engine_steps(block: BlockPlan, activity: Activity) -> Iterator[EngineStep]:
    """Yield the engine's steps: each layer is one behind the layer before, and as many steps more bring the last tokens to the end."""
    for step in range(activity.steps + len(block.parts) - 1):
        fired = np.zeros(block.slots, bool)
        active, last = [], []
        for behind, part in enumerate(block.parts):
            token = step - behind
            active.append(0 <= token < activity.steps)
            last.append(active[-1] and bool(activity.last[token]))
            if active[-1]:
                block.scatter(part, activity.fired[part.layer or 0][token], fired)
        yield EngineStep(fired.reshape(block.lanes, block.rows), tuple(active), tuple(last))


def _critical_path(end: Moment) -> tuple[int, tuple[Share, ...]]:
    """Go back from ``end`` to the first token; return the cycles between, and what they were spent on."""
    spent: Counter[tuple[str, Term]] = Counter()
    moment = end
    while moment.previous is not None:
        spent[moment.block, moment.term] += moment.time - moment.previous.time
        moment = moment.previous
    shares = (Share(block, term, cycles) for (block, term), cycles in spent.items() if cycles)
    return end.time - moment.time, tuple(sorted(shares, key=lambda share: (-share.cycles, share.block, share.term)))


def _block_prediction(block: BlockPlan, lanes: Lanes, columns: list[LaneColumns], cycles: int) -> BlockPrediction:
    macs = int(lanes.sent @ np.sum([lane.count for lane in columns], axis=0))
    working = int(lanes.working.sum())
    return BlockPrediction(block.name, block.lanes, macs, working - macs, block.lanes * cycles - working)
