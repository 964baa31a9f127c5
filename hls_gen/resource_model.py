"""How many block RAMs and multipliers the generated core takes on a Lattice ECP5, without synthesis.

Every memory and every product of the RTL is listed, with the rules by which yosys' `synth_ecp5` places them; a board's top adds none. Two
things are not known here: which bits are the same in every word of a memory (synthesis drops them, which may save a block RAM), and how
many tables the logic takes.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from hls_gen.board import Board
from hls_gen.hardware_config import BlockPlan, HardwareConfig, HardwarePlan, plan
from hls_gen.memory_image import slice_bits
from hls_gen.rtl_backend import lane_memories
from hls_gen.sparse_encoding import LaneMemory, decoder_columns, engine_columns
from sw_model.errors import UserError
from sw_model.quantized_model import QuantizedModel

# Words and bits that one DP16KD gives; the last one as PDPW16KD, which is the same block.
BLOCK_SHAPES = ((16384, 1), (8192, 2), (4096, 4), (2048, 9), (1024, 18), (512, 36))
# egru_rom: no deeper memory is forced into block RAM, and yosys makes logic of it.
LARGEST_LOGIC_ROM = 32
# yosys' memory_libmap weighs a block against 16x4 distributed RAMs: cost of either, of a bit of output multiplexer, of a write enable. A
# memory whose reads may meet a write of the same word costs the logic that mends it as well.
BLOCK_COST = 128.0
MENDED_BLOCK_COST = 140.0
LUT_RAM_WORDS, LUT_RAM_BITS, LUT_RAM_COST = 16, 4, 4.0
MULTIPLEXER_COST = ENABLE_COST = 0.5
TABLE_WORDS = 1 << 10  # sigmoid and tanh


@dataclass(frozen=True)
class MemoryUse:
    """Memories of one shape.

    Attributes:
        block: Engine or decoder that they are in.
        purpose: What they hold.
        copies: How many there are.
        bits: Width of a word.
        depth: Words.
        block_rams: DP16KD that all copies take; 0 where they become distributed RAM or logic.
    """

    block: str
    purpose: str
    copies: int
    bits: int
    depth: int
    block_rams: int


@dataclass(frozen=True)
class ResourceEstimate:
    """What a core takes.

    Attributes:
        bram: 18-kbit block RAMs (DP16KD).
        dsp: Multipliers (MULT18X18D).
        memories: Every memory that counts.
    """

    bram: int
    dsp: int
    memories: tuple[MemoryUse, ...]


def estimate_resources(model: QuantizedModel, hardware: HardwareConfig | HardwarePlan) -> ResourceEstimate:
    """Count block RAMs and multipliers of ``model``.

    Raises:
        UserError: When the configuration cannot work for this model.
    """
    hardware = plan(model, hardware) if isinstance(hardware, HardwareConfig) else hardware
    memories = [use for block in hardware.blocks for use in _memories(model, hardware, block)]
    dsp = sum(_products(model, block) for block in hardware.blocks)
    return ResourceEstimate(sum(use.block_rams for use in memories), dsp, tuple(memories))


def check_budget(needed: ResourceEstimate, board: Board) -> None:
    """Refuse a core that ``board`` cannot hold.

    Raises:
        UserError: Naming what is exceeded most, what is needed, what there is, and of block RAMs what takes most.
    """
    largest = max(needed.memories, key=lambda use: use.block_rams)
    wanted = {
        f"{needed.bram} block RAMs ({largest.block_rams} for the {largest.purpose} of {largest.block})": (needed.bram, board.budget.bram),
        f"{needed.dsp} multipliers": (needed.dsp, board.budget.dsp),
    }
    name, (count, available) = max(wanted.items(), key=lambda item: item[1][0] / item[1][1])
    if count > available:
        remedy = "use fewer lanes or update units" if count == needed.dsp else "prune more, use fewer weight bits or a smaller model"
        raise UserError(f"the core needs {name}", f"but board {board.name} has {available}", remedy)


def rom_blocks(bits: int, depth: int) -> int:
    """Return the block RAMs of an egru_rom."""
    if depth <= LARGEST_LOGIC_ROM:
        return 0
    width = slice_bits(bits, depth)
    whole, rest = divmod(bits, width)
    return whole * _blocks(width, depth) + (_blocks(rest, depth) if rest else 0)


def ram_blocks(bits: int, depth: int, *, mended: bool) -> int:
    """Return the block RAMs of a memory with one read and one write port.

    Args:
        bits: Width of a word.
        depth: Words.
        mended: A read that meets a write of the same word must give the old one.
    """
    rams = -(-depth // LUT_RAM_WORDS)
    distributed = LUT_RAM_COST * rams * -(-bits // LUT_RAM_BITS) + MULTIPLEXER_COST * (rams - 1) * bits + ENABLE_COST * rams
    blocks = _blocks(bits, depth)
    return blocks if distributed > blocks * BLOCK_COST + (MENDED_BLOCK_COST - BLOCK_COST if mended else 0.0) else 0


def _blocks(bits: int, depth: int) -> int:
    return min(-(-bits // width) * -(-depth // words) for words, width in BLOCK_SHAPES)


def _memories(model: QuantizedModel, hardware: HardwarePlan, block: BlockPlan) -> Iterator[MemoryUse]:
    columns = engine_columns(model, hardware, block) if block.layers else decoder_columns(model, hardware)
    lanes = lane_memories(block, columns, hardware.config)

    def rom(purpose: str, copies: int, bits: int, depth: int) -> MemoryUse:
        return MemoryUse(block.name, purpose, copies, bits, depth, copies * rom_blocks(bits, depth))

    def ram(purpose: str, copies: int, bits: int, depth: int, *, mended: bool) -> MemoryUse:
        return MemoryUse(block.name, purpose, copies, bits, depth, copies * ram_blocks(bits, depth, mended=mended))

    yield rom("directory", 1, _directory_bits(lanes), block.columns)
    for depth in sorted({len(lane.words) for lane in lanes}):
        yield rom("weights", sum(len(lane.words) == depth for lane in lanes), lanes[0].bits, depth)
    yield ram("accumulators", 2 * block.lanes, block.acc_bits + 1, max(block.rows, 2) << block.field_bits, mended=False)
    if not block.layers:
        yield rom("class order", 1, _address_bits(block.lanes) + _address_bits(block.rows), model.classes)
        yield rom("class biases", 1, block.acc_bits, model.classes)
        return
    formats, units = model.formats, block.update_units
    neurons = block.slots // units
    yield rom("inputs and biases", units, 3 * formats.preact_bits, _input_depth(model, block))
    yield rom("reset biases", units, formats.preact_bits, neurons)
    yield rom("thresholds", units, formats.state_frac, neurons)
    yield rom("sigmoid", 2 * units, formats.gate_bits, TABLE_WORDS)
    yield rom("tanh", units, formats.gate_bits + 1, TABLE_WORDS)
    yield ram("states", units, formats.state_bits, neurons, mended=True)


def _directory_bits(lanes: list[LaneMemory]) -> int:
    start_bits = max(_address_bits(len(lane.words)) for lane in lanes)
    count_bits = max(1, int(max(lane.count.max(initial=0) for lane in lanes)).bit_length())
    return len(lanes) * (start_bits + count_bits)


def _input_depth(model: QuantizedModel, block: BlockPlan) -> int:
    """Return the words of a unit's input memory: layer 0 has a word per token."""
    lanes, first = block.lanes // block.update_units, block.parts[0].packing.rows
    return lanes * (first * _tokens(model, block) + block.rows - first)


def _tokens(model: QuantizedModel, block: BlockPlan) -> int:
    return model.tokens if block.layers[0] == 0 else 1


def _address_bits(count: int) -> int:
    return max(1, (count - 1).bit_length())


def _products(model: QuantizedModel, block: BlockPlan) -> int:
    """Return the multipliers: one a lane, two an update unit, and those that yosys makes of addresses that are products with a constant.

    Of the last ones yosys may turn a small one into logic.
    """
    if not block.layers:
        return block.lanes
    first = block.parts[0].packing.rows
    # Of the lane in turn and its rows, in every unit; of the token and the first layer's neurons in a unit, once.
    factors = {block.rows} | ({first, block.rows - first} if len(block.parts) > 1 else set())
    in_units = 2 + sum(not _is_shift(factor) for factor in factors)
    by_token = _tokens(model, block) > 2 and not _is_shift(first * block.lanes // block.update_units)
    return block.lanes + block.update_units * in_units + by_token


def _is_shift(factor: int) -> bool:
    return factor & (factor - 1) == 0
