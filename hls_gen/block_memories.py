"""What the memories of a block hold, in whatever language the hardware is written: entries, input table, biases, thresholds."""

from dataclasses import dataclass, replace

import numpy as np

from hls_gen.hardware_config import BlockPlan, HardwareConfig
from hls_gen.memory_image import MemoryImage, address_bits, concatenate_fields, unsigned
from hls_gen.registers import HASH_WORDS
from hls_gen.sparse_encoding import LaneColumns, LaneMemory, group_entries, single_entries
from sw_model.quantized_model import QuantizedModel

HASH_BITS = 32


def lane_memories(block: BlockPlan, columns: list[LaneColumns], config: HardwareConfig) -> list[LaneMemory]:
    """Return the entry memory of every lane of ``block`` in the format that ``config`` asks for; the decoder has no groups of gates."""
    row_bits = address_bits(block.rows)
    if config.entry_format == "gate-group" and block.layers:
        memories = [group_entries(lane, block.weight_bits, row_bits) for lane in columns]
    else:
        memories = [single_entries(lane, block.weight_bits, row_bits, block.field_bits) for lane in columns]
    if block.capacity is None:
        return memories
    return [replace(lane, words=lane.words + (0,) * (block.capacity - len(lane.words))) for lane in memories]


def place_bits(block: BlockPlan, memories: list[LaneMemory]) -> tuple[int, int]:
    """Return the widths of {before, count} in the directory of ``block``."""
    longest = max(int(lane.count.max(initial=0)) for lane in memories)
    if block.capacity is not None:
        longest = min(block.longest_column, block.capacity)
    return max(address_bits(len(lane.words)) for lane in memories), max(1, longest.bit_length())


@dataclass(frozen=True)
class UnitImages:
    """The memories of one update unit.

    Attributes:
        input: Words {p_g, p_r, p_z}: per token the rows of the unit's lanes, or once where the layer has no token.
        reset_bias: ``d`` of every row.
        threshold: Of every row; a padding row has one that it cannot pass.
    """

    input: MemoryImage
    reset_bias: MemoryImage
    threshold: MemoryImage


def hash_image(model: QuantizedModel) -> MemoryImage:
    """Return the model's hash as the registers give it: the least significant word first."""
    value = int(model.content_hash(), 16)
    return MemoryImage("model_hash", HASH_BITS, tuple(value >> HASH_BITS * word & (1 << HASH_BITS) - 1 for word in range(HASH_WORDS)))


def table_images(model: QuantizedModel) -> tuple[MemoryImage, MemoryImage]:
    """Return the tables of sigmoid and tanh."""
    bits = model.formats.gate_bits
    return (
        MemoryImage("sigmoid", bits, tuple(unsigned(model.sigmoid_table, bits))),
        MemoryImage("tanh", bits + 1, tuple(unsigned(model.tanh_table, bits + 1))),
    )


def input_rows(model: QuantizedModel, engine: BlockPlan) -> int:
    """Return the rows of an engine's input table: one for each token, or the bias alone where it reads events."""
    return model.tokens if engine.layers[0] == 0 and model.tokens else 1


def unit_images(model: QuantizedModel, engine: BlockPlan) -> list[UnitImages]:
    """Return the memories of the element-wise update, a slice of the lanes per unit."""
    formats = model.formats
    table = np.zeros((input_rows(model, engine), 3, engine.slots), np.int64)
    reset_bias = np.zeros(engine.slots, np.int64)
    threshold = np.full(engine.slots, formats.state_max, np.int64)  # a padding row never fires
    for part in engine.parts:
        layer = model.layers[part.layer or 0]
        engine.scatter(part, model.input_table() if part.layer == 0 else layer.bias.astype(np.int64), table)
        engine.scatter(part, layer.reset_bias, reset_bias)
        engine.scatter(part, layer.threshold, threshold)

    images: list[UnitImages] = []
    slots = engine.slots // engine.update_units
    for unit in range(engine.update_units):
        mine = slice(unit * slots, (unit + 1) * slots)
        name = f"{engine.name}_unit{unit}"
        rows = _input_rows(table[:, :, mine], engine)
        input_image = MemoryImage(f"{name}_input", 3 * formats.preact_bits, tuple(concatenate_fields(list(rows), formats.preact_bits)))
        bias_image = MemoryImage(f"{name}_reset_bias", formats.preact_bits, tuple(unsigned(reset_bias[mine], formats.preact_bits)))
        threshold_image = MemoryImage(f"{name}_threshold", formats.state_frac, tuple(unsigned(threshold[mine], formats.state_frac)))
        images.append(UnitImages(input_image, bias_image, threshold_image))
    return images


def _input_rows(table: np.ndarray, engine: BlockPlan) -> np.ndarray:
    """Order the inputs (tokens, gates, neurons of a unit) as the input memory has them: the first part token by token, the others once."""
    gates = table.shape[1]
    by_lane = table.reshape(table.shape[0], gates, -1, engine.rows)
    first = engine.parts[0].packing.rows
    per_token = by_lane[..., :first].transpose(1, 0, 2, 3).reshape(gates, -1)
    rows: np.ndarray = np.concatenate([per_token, by_lane[0, ..., first:].reshape(gates, -1)], axis=1)
    return rows


def bias_image(model: QuantizedModel, decoder: BlockPlan) -> MemoryImage:
    """Return the decoder's bias of every class, at the accumulator's scale."""
    return MemoryImage("decoder_bias", decoder.acc_bits, tuple(unsigned(model.decoder.bias, decoder.acc_bits)))
