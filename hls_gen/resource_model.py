"""What the generated core takes of a part, without synthesis: tables, flip-flops, block RAMs, multipliers.

Every memory and every product of the RTL is listed, with the rules by which yosys places them (`hls_gen.device`): block RAMs and
multipliers are counted. Logic is an estimate: a linear law of what the core is built of, with coefficients that a benchmark has fitted to
syntheses of small cores (`hls_gen.logic_model`). A board's top adds no memory and next to no logic; a serial link is counted on request.

One thing is not known here: which bits are the same in every word of a memory. Synthesis drops them, which may save a block RAM.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from hls_gen.block_memories import input_rows, lane_memories, place_bits
from hls_gen.board import Board, Family, Link, UartLink
from hls_gen.device import DEVICES, LARGE_RAM_SHAPE, Device, DistributedRam, Resource
from hls_gen.hardware_config import BlockPlan, HardwareConfig, HardwarePlan
from hls_gen.logic_model import LogicTerm, predict_logic, uart_logic
from hls_gen.memory_image import address_bits, slice_bits
from hls_gen.sparse_encoding import PackedModel, pack
from sw_model.errors import UserError
from sw_model.quantized_model import QuantizedModel

# egru_rom: no deeper memory is forced into block RAM, and yosys makes logic of it.
LARGEST_LOGIC_ROM = 32
# egru_rom: contents that can be exchanged in the bitstream have at least so many words.
LEAST_SWAPPABLE_WORDS = 256
# memory_libmap: cost of a bit of output multiplexer, of a write enable; of a bit of memory that becomes flip-flops.
MULTIPLEXER_COST = ENABLE_COST = 0.5
FLIP_FLOP_COST = 1.0
TABLE_WORDS = 1 << 10  # sigmoid and tanh
# Depths of memories that have no parameter: egru_update_unit, egru_readout, egru_arbiter, egru_layer_counters.
LOGIT_QUEUE, ARBITER_QUEUE, COUNTER_WORDS = 8, 2, 16
MODEL_HASH_WORDS, MODEL_HASH_BITS = 8, 32


@dataclass(frozen=True)
class Placement:
    """Where one memory goes: block RAMs, or distributed RAM of so many tables, or flip-flops."""

    block_rams: int = 0
    tables: int = 0
    flip_flops: int = 0


@dataclass(frozen=True)
class MemoryUse:
    """Memories of one shape.

    Attributes:
        block: Engine or decoder that they are in; ``core`` or ``link`` for what is beside them.
        purpose: What they hold.
        copies: How many there are.
        bits: Width of a word.
        depth: Words.
        block_rams: Block RAMs that all copies take; 0 where they become distributed RAM or logic.
        tables: Tables that all copies take as distributed RAM.
        flip_flops: Flip-flops that all copies take.
        large_rams: Large single-port RAMs that all copies take.
    """

    block: str
    purpose: str
    copies: int
    bits: int
    depth: int
    block_rams: int
    tables: int = 0
    flip_flops: int = 0
    large_rams: int = 0


@dataclass(frozen=True)
class ResourceEstimate:
    """What a core takes.

    Attributes:
        lut: Tables, estimated; of iCE40 and Gowin cells of a table and a flip-flop.
        ff: Flip-flops, estimated.
        bram: Block RAMs.
        dsp: Multipliers.
        memories: Every memory that counts.
        family: Of the part that the units are those of.
        spram: Large single-port RAMs.
    """

    lut: int
    ff: int
    bram: int
    dsp: int
    memories: tuple[MemoryUse, ...]
    family: Family = Family.ECP5
    spram: int = 0

    def of(self, resource: Resource) -> int:
        """Return how much of ``resource`` the core takes."""
        amount: int = getattr(self, resource.value)
        return amount


@dataclass(frozen=True)
class BlockShape:
    """The memories of a block's columns.

    Attributes:
        depths: Entries of each lane.
        entry_bits: Width of an entry.
        start_bits: Width of a column's place in the directory.
        count_bits: Width of its number of entries there.
    """

    depths: tuple[int, ...]
    entry_bits: int
    start_bits: int
    count_bits: int

    @property
    def place_bits(self) -> int:
        """Width of a lane's part of the directory."""
        return self.start_bits + self.count_bits


@dataclass(frozen=True)
class _Tally:
    """Collects the memories of a design on one device."""

    device: Device
    config: HardwareConfig
    uses: list[MemoryUse] = field(default_factory=list)

    def rom(self, block: str, purpose: str, copies: int, bits: int, depth: int) -> None:
        """Add memories with contents."""
        if self.config.weights == "swappable":
            depth = max(depth, LEAST_SWAPPABLE_WORDS)
        blocks = rom_blocks(self.device, bits, depth, always=self.config.weights_may_change)
        self.uses.append(MemoryUse(block, purpose, copies, bits, depth, copies * blocks))

    def entries(self, block: str, copies: int, bits: int, depth: int) -> None:
        """Add memories of entries."""
        if not self.config.starts_empty:
            self.rom(block, "weights", copies, bits, depth)
            return
        words, width = LARGE_RAM_SHAPE
        large = copies * -(-depth // words) * -(-bits // width)
        self.uses.append(MemoryUse(block, "weights", copies, bits, depth, 0, large_rams=large))

    def ram(self, block: str, purpose: str, copies: int, bits: int, depth: int, *, mended: bool = False) -> None:
        """Add memories with a clocked read port."""
        self._add(block, purpose, copies, bits, depth, place_ram(self.device, bits, depth, mended=mended))

    def forced_ram(self, block: str, purpose: str, bits: int, depth: int) -> None:
        """Add a memory that an attribute puts into block RAM."""
        self._add(block, purpose, 1, bits, depth, Placement(block_rams=_blocks(self.device, bits, depth)))

    def queue(self, block: str, purpose: str, copies: int, bits: int, depth: int) -> None:
        """Add memories that are read without a clock: no block RAM can do that."""
        self._add(block, purpose, copies, bits, depth, place_ram(self.device, bits, depth, clocked=False))

    def _add(self, block: str, purpose: str, copies: int, bits: int, depth: int, place: Placement) -> None:
        amounts = (copies * place.block_rams, copies * place.tables, copies * place.flip_flops)
        self.uses.append(MemoryUse(block, purpose, copies, bits, depth, *amounts))


def estimate_resources(
    model: QuantizedModel, hardware: HardwareConfig | HardwarePlan | PackedModel, family: Family = Family.ECP5, *, link: Link | None = None
) -> ResourceEstimate:
    """Estimate what the core of ``model`` takes.

    Args:
        model: The model.
        hardware: Its configuration, or what has been made of it already.
        family: Of the part.
        link: How the host talks to the core; a serial link is a part of what is counted.

    Raises:
        UserError: When the configuration cannot work for this model.
    """
    packed = pack(model, hardware)
    return estimate_shapes(model, packed.plan, block_shapes(packed), family, link=link)


def estimate_on_board(model: QuantizedModel, hardware: HardwareConfig | HardwarePlan | PackedModel, board: Board) -> ResourceEstimate:
    """Estimate what the core of ``model`` takes on ``board``, with the serial link where the board has one; see `estimate_resources`."""
    return estimate_resources(model, hardware, board.family, link=board.keeping_logits(model).link)


def block_shapes(packed: PackedModel) -> tuple[BlockShape, ...]:
    """Return the shapes of every block's column memories."""
    shapes = []
    for block, columns in zip(packed.plan.blocks, packed.columns, strict=True):
        lanes = lane_memories(block, columns, packed.plan.config)
        shapes.append(BlockShape(tuple(len(lane.words) for lane in lanes), lanes[0].bits, *place_bits(block, lanes)))
    return tuple(shapes)


def estimate_shapes(
    model: QuantizedModel, hardware: HardwarePlan, shapes: Sequence[BlockShape], family: Family, *, link: Link | None = None
) -> ResourceEstimate:
    """Estimate what a core takes whose columns have the ``shapes``; the model gives the rest."""
    tally = _Tally(DEVICES[family], hardware.config)
    for block, shape in zip(hardware.blocks, shapes, strict=True):
        _column_memories(tally, block, shape, hardware.config, model.formats.event_bits)
        if block.layers:
            _engine_memories(tally, model, hardware, block)
        else:
            _decoder_memories(tally, model, block)
    tally.rom("core", "model hash", 1, MODEL_HASH_BITS, MODEL_HASH_WORDS)
    if isinstance(link, UartLink):
        tally.uses.extend(link_memories(family, model.classes, logits=link.logits))
    memories = tuple(tally.uses)
    lut, ff = predict_logic(family, logic_terms(model, hardware, shapes, memories))
    link_lut, link_ff = uart_logic(family) if isinstance(link, UartLink) else (0, 0)
    return ResourceEstimate(
        lut=lut + link_lut + sum(use.tables for use in memories),
        ff=ff + link_ff + sum(use.flip_flops for use in memories),
        bram=sum(use.block_rams for use in memories),
        dsp=-int(-sum(_products(tally.device, model, block) for block in hardware.blocks) // 1),
        memories=memories,
        family=family,
        spram=sum(use.large_rams for use in memories),
    )


def link_memories(family: Family, classes: int, *, logits: bool) -> list[MemoryUse]:
    """Return the memories of the serial link: egru_frame_buffer, and with ``logits`` egru_answer's last ones."""
    tally = _Tally(DEVICES[family], HardwareConfig())
    tally.forced_ram("link", "frames", 8, 512)
    if logits and classes > LARGEST_LOGIC_ROM:
        tally.forced_ram("link", "logits", 32, classes)
    elif logits:
        tally.ram("link", "logits", 1, 32, classes)
    return tally.uses


def logic_terms(
    model: QuantizedModel, hardware: HardwarePlan, shapes: Sequence[BlockShape], memories: Sequence[MemoryUse]
) -> dict[LogicTerm, float]:
    """Return how much of each term the core has; ``memories`` are all of it, the link's left out."""
    formats, config = model.formats, hardware.config
    unit_bits = formats.state_bits + formats.gate_bits + formats.preact_bits
    item_bits = [
        block.lanes * (formats.event_bits + shape.place_bits + address_bits(block.rows))
        for block, shape in zip(hardware.blocks, shapes, strict=True)
    ]
    small = [use for use in memories if not (use.block_rams or use.tables or use.flip_flops or use.large_rams) and use.block != "core"]
    return {
        LogicTerm.CORE: 1,
        LogicTerm.BLOCK: len(hardware.blocks),
        LogicTerm.COUNTER_BIT: len(hardware.blocks) * config.counter_bits,
        LogicTerm.LANE: hardware.lanes,
        LogicTerm.SUM_BIT: sum(block.lanes * block.acc_bits for block in hardware.blocks),
        LogicTerm.ITEM_BIT: sum(item_bits),
        LogicTerm.UNIT_BIT: sum(block.update_units * (unit_bits + block.acc_bits) for block in hardware.engines),
        LogicTerm.SHARED_BIT: sum(block.update_units * (len(block.parts) - 1) * block.acc_bits for block in hardware.engines),
        LogicTerm.GROUP_LANE: sum(block.lanes for block in hardware.engines) if config.entry_format == "gate-group" else 0,
        LogicTerm.CONSTANT_BIT: sum(use.copies * use.bits * use.depth for use in small),
        LogicTerm.REGISTER_BIT: sum(use.flip_flops for use in memories if use.block != "link"),
    }


def available(board: Board, resource: Resource) -> int:
    """Return how much of ``resource`` a core may take on ``board``: see `hls_gen.device.Device.logic_share`."""
    count: int = getattr(board.budget, resource.value)
    return int(count * DEVICES[board.family].logic_share) if resource in (Resource.LUT, Resource.FF) else count


def missing(needed: ResourceEstimate, board: Board) -> dict[Resource, int]:
    """Return what ``board`` lacks for a core, the resource that is exceeded most first."""
    lacking = {one: needed.of(one) for one in Resource if needed.of(one) > available(board, one)}
    order = sorted(lacking, key=lambda one: -lacking[one] / max(available(board, one), 1))
    return {one: lacking[one] - available(board, one) for one in order}


def check_budget(needed: ResourceEstimate, board: Board) -> None:
    """Refuse a core that ``board`` cannot hold.

    Raises:
        UserError: Naming what is exceeded most, what is needed, what there is, and of block RAMs what takes most.
    """
    lacking = missing(needed, board)
    if lacking:
        block_ram = "prune more, use fewer weight bits or a smaller model"
        if board.budget.spram and not needed.spram:
            block_ram += ", or weights=single-port"
        remedy = {
            Resource.BRAM: block_ram,
            Resource.SPRAM: "use fewer lanes" if board.budget.spram else "use weights=fixed",
        }.get(next(iter(lacking)), "use fewer lanes or update units")
        raise UserError(
            f"the core needs {describe_need(needed, next(iter(lacking)))}", f"but {describe_board(board, next(iter(lacking)))}", remedy
        )


def describe_need(needed: ResourceEstimate, resource: Resource) -> str:
    """Say how much of ``resource`` a core needs; of block RAMs also what takes most."""
    words = f"{needed.of(resource):,} {describe_amount(needed.family, resource)}"
    if resource is not Resource.BRAM:
        return words
    by_purpose: Counter[tuple[str, str]] = Counter()
    for use in needed.memories:
        by_purpose[use.purpose, use.block] += use.block_rams
    ((purpose, block), count) = by_purpose.most_common(1)[0]
    return f"{words} ({count} for the {purpose} of {block})"


def describe_board(board: Board, resource: Resource) -> str:
    """Say how much of ``resource`` ``board`` has for a core."""
    count, usable = getattr(board.budget, resource.value), available(board, resource)
    if count == usable:
        return f"board {board.name} has {count:,}"
    return f"board {board.name} has {count:,}, of which {usable:,} can be filled"


def describe_amount(family: Family, resource: Resource) -> str:
    """Return what to call ``resource`` behind a number."""
    names = {Resource.BRAM: "block RAMs", Resource.DSP: "multipliers", Resource.SPRAM: "256-kbit single-port RAMs"}
    return names[resource] if resource in names else DEVICES[family].names[resource]


def rom_blocks(device: Device, bits: int, depth: int, *, always: bool = False) -> int:
    """Return the block RAMs of an egru_rom.

    Args:
        device: The family.
        bits: Width of a word.
        depth: Words.
        always: In block RAM whatever the depth, because the contents can be exchanged.
    """
    if depth <= LARGEST_LOGIC_ROM and not always:
        return 0
    width = slice_bits(bits, depth)
    whole, rest = divmod(bits, width)
    return whole * _blocks(device, width, depth) + (_blocks(device, rest, depth) if rest else 0)


def place_ram(device: Device, bits: int, depth: int, *, clocked: bool = True, mended: bool = False) -> Placement:
    """Place a memory with one read and one write port where memory_libmap finds it cheapest.

    Args:
        device: The family.
        bits: Width of a word.
        depth: Words.
        clocked: It is read with a clock, so that a block RAM can hold it.
        mended: A read that meets a write of the same word must give the old one.
    """
    choices = [(FLIP_FLOP_COST * bits * depth, Placement(flip_flops=bits * depth))]
    choices += [_distributed(shape, bits, depth) for shape in device.distributed]
    if clocked:
        blocks = _blocks(device, bits, depth)
        choices.append((blocks * device.block_cost + (device.mended_cost if mended else 0.0), Placement(block_rams=blocks)))
    return min(choices, key=lambda choice: choice[0])[1]


def _distributed(shape: DistributedRam, bits: int, depth: int) -> tuple[float, Placement]:
    """Return what memory_libmap reckons for distributed RAM, and its tables."""
    deep, (whole, rest) = -(-depth // shape.words), divmod(bits, shape.bits)
    part = shape.least_cost + (shape.cost - shape.least_cost) * rest / shape.bits if rest else 0.0
    cost = deep * (whole * shape.cost + part) + MULTIPLEXER_COST * (deep - 1) * bits + ENABLE_COST * deep
    return cost, Placement(tables=deep * (whole + (rest > 0)) * shape.tables)


def _blocks(device: Device, bits: int, depth: int) -> int:
    return min(-(-bits // width) * -(-depth // words) for words, width in device.block_shapes)


def _column_memories(tally: _Tally, block: BlockPlan, shape: BlockShape, config: HardwareConfig, event_bits: int) -> None:
    tally.rom(block.name, "directory", 1, block.lanes * shape.place_bits, block.columns)
    for depth in sorted(set(shape.depths)):
        tally.entries(block.name, shape.depths.count(depth), shape.entry_bits, depth)
    tally.ram(block.name, "accumulators", 2 * block.lanes, block.acc_bits + 1, max(block.rows, 2) << block.field_bits)
    tally.queue(block.name, "queues", block.lanes, 1 + event_bits + shape.place_bits, config.queue_depth)
    tally.ram(block.name, "counters", 1, config.counter_bits, COUNTER_WORDS, mended=True)


def _engine_memories(tally: _Tally, model: QuantizedModel, hardware: HardwarePlan, block: BlockPlan) -> None:
    formats, units = model.formats, block.update_units
    neurons, event = block.slots // units, address_bits(block.slots) + formats.event_bits
    tally.rom(block.name, "inputs and biases", units, 3 * formats.preact_bits, _input_depth(model, block))
    tally.rom(block.name, "reset biases", units, formats.preact_bits, neurons)
    tally.rom(block.name, "thresholds", units, formats.state_frac, neurons)
    tally.rom(block.name, "sigmoid", 2 * units, formats.gate_bits, TABLE_WORDS)
    tally.rom(block.name, "tanh", units, formats.gate_bits + 1, TABLE_WORDS)
    tally.ram(block.name, "states", units, formats.state_bits, neurons)
    tally.queue(block.name, "own events", units, event + (2 if len(block.parts) > 1 else 0), hardware.config.event_queue_depth)
    tally.queue(block.name, "chosen event", 1, event + 2, ARBITER_QUEUE)
    tally.queue(block.name, "output", 1, event + 2, hardware.config.stream_depth)


def _decoder_memories(tally: _Tally, model: QuantizedModel, block: BlockPlan) -> None:
    tally.rom(block.name, "class order", 1, address_bits(block.lanes) + address_bits(block.rows), model.classes)
    tally.rom(block.name, "class biases", 1, block.acc_bits, model.classes)
    tally.queue(block.name, "logits", 1, block.acc_bits + 2, LOGIT_QUEUE)


def _input_depth(model: QuantizedModel, block: BlockPlan) -> int:
    """Return the words of a unit's input memory: layer 0 has a word per token."""
    lanes, first = block.lanes // block.update_units, block.parts[0].packing.rows
    return lanes * (first * input_rows(model, block) + block.rows - first)


def _products(device: Device, model: QuantizedModel, block: BlockPlan) -> float:
    """Return the multipliers: one a lane, two an update unit, and that of the token and the neurons of a unit, which all units share."""
    formats = model.formats
    found = block.lanes * product_multipliers(device, block.weight_bits, formats.event_bits + 1, block.weight_bits + formats.event_bits)
    if block.layers:
        factors = (formats.preact_bits + 1, formats.state_bits + 1)
        found += block.update_units * sum(product_multipliers(device, bits, formats.gate_bits + 1) for bits in factors)
        neurons = block.parts[0].packing.rows * block.lanes // block.update_units
        odd = neurons // (neurons & -neurons)  # the rest of the constant is a shift
        if input_rows(model, block) > 2 and odd > 1:
            found += product_multipliers(device, odd.bit_length(), address_bits(model.tokens), address_bits(_input_depth(model, block)))
    return found


def product_multipliers(device: Device, one: int, other: int, most_bits: int | None = None) -> float:
    """Return the multipliers, or none, that a product takes.

    Args:
        device: The family.
        one: Bits of a factor.
        other: Bits of the other factor.
        most_bits: Bits of the product that are used; None for all.
    """
    least, bits = device.multiplier, one + other if most_bits is None else min(one + other, most_bits)
    if min(one, other) < least.factor_bits or bits < least.product_bits:
        return 0.0
    return 0.5 if max(one, other) <= least.half_bits else 1.0
