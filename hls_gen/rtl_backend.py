"""The RTL backend: a folder of SystemVerilog and memory images for one model on one hardware configuration.

rtl/        library modules and the generated wiring, top module `egru_top`
mem/        memory images; the sources name them relative to the folder, so simulate and synthesise from there
model/      the artifact itself
hardware.json   configuration, plan, hashes, and which physical index each neuron has
"""

import json
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hls_gen.hardware_config import BlockPlan, HardwareConfig, HardwarePlan, plan
from hls_gen.memory_image import MemoryImage, concatenate_fields, unsigned
from hls_gen.render import LIBRARY_FOLDER, render
from hls_gen.sparse_encoding import (
    LaneColumns,
    LaneMemory,
    decoder_columns,
    directory_words,
    engine_columns,
    group_entries,
    single_entries,
)
from sw_model.output_folder import staged_folder
from sw_model.quantized_model import QuantizedModel

RTL_FOLDER = "rtl"
MEMORY_FOLDER = "mem"
MODEL_FOLDER = "model"
HARDWARE_FILE = "hardware.json"
TOP_MODULE = "egru_top"


@dataclass(frozen=True)
class GeneratedRtl:
    """What was generated, in memory.

    Attributes:
        plan: Lanes, rows and widths.
        sources: Generated SystemVerilog by file name.
        library: Library files that the sources instantiate.
        memories: All memory images.
    """

    plan: HardwarePlan
    sources: dict[str, str]
    library: tuple[Path, ...]
    memories: tuple[MemoryImage, ...]


def generate(model: QuantizedModel, config: HardwareConfig) -> GeneratedRtl:
    """Generate the RTL of ``model``; the same input gives the same bytes.

    Raises:
        UserError: When the configuration cannot work for this model.
    """
    hardware = plan(model, config)
    memories = [
        MemoryImage("sigmoid", model.formats.gate_bits, tuple(unsigned(model.sigmoid_table, model.formats.gate_bits))),
        MemoryImage("tanh", model.formats.gate_bits + 1, tuple(unsigned(model.tanh_table, model.formats.gate_bits + 1))),
    ]
    sources: dict[str, str] = {}
    for engine in hardware.engines:
        text, images = _engine(model, hardware, engine)
        sources[f"egru_{engine.name}.sv"] = text
        memories += images
    text, images = _decoder(model, hardware)
    sources["egru_decoder.sv"] = text
    memories += images
    sources[f"{TOP_MODULE}.sv"] = _top(model, hardware)
    return GeneratedRtl(hardware, sources, library_files(), tuple(memories))


def write(model: QuantizedModel, config: HardwareConfig, folder: Path, *, force: bool = False) -> GeneratedRtl:
    """Generate ``model`` and write the folder described above, all or nothing.

    Raises:
        UserError: When the configuration cannot work, or ``folder`` may not be written.
    """
    generated = generate(model, config)
    with staged_folder(folder, force=force) as staging:
        (staging / RTL_FOLDER).mkdir()
        (staging / MEMORY_FOLDER).mkdir()
        for path in generated.library:
            shutil.copyfile(path, staging / RTL_FOLDER / path.name)
        for name, text in generated.sources.items():
            (staging / RTL_FOLDER / name).write_text(text)
        for image in generated.memories:
            for name, text in image.files().items():
                (staging / MEMORY_FOLDER / name).write_text(text)
        model.save(staging / MODEL_FOLDER)
        (staging / HARDWARE_FILE).write_text(json.dumps(describe(model, generated.plan), indent=1, sort_keys=True) + "\n")
    return generated


def library_files() -> tuple[Path, ...]:
    """Return the library modules of the core, in a fixed order; those of board tops (UART, reset) are not among them."""
    return tuple(path for path in sorted(LIBRARY_FOLDER.glob("*.sv")) if not path.name.startswith(("egru_uart", "egru_reset")))


def describe(model: QuantizedModel, hardware: HardwarePlan) -> dict[str, Any]:
    """Return what a reader of the generated folder needs: configuration, sizes, and the physical index of every neuron and class."""
    return {
        "format": "egru-rtl",
        "version": 2,
        "model_hash": model.content_hash(),
        "config": hardware.config.model_dump(mode="json"),
        "formats": asdict(model.formats),
        "tokens": model.tokens,
        "classes": model.classes,
        "blocks": [
            {
                "name": block.name,
                "layers": list(block.layers),
                "lanes": block.lanes,
                "rows": block.rows,
                "update_units": block.update_units,
                "acc_bits": block.acc_bits,
                "acc_frac": block.acc_frac,
                "weight_bits": block.weight_bits,
                "physical_index": [block.slot_of(part).tolist() for part in block.parts],
            }
            for block in hardware.blocks
        ],
    }


@dataclass(frozen=True)
class _LaneFiles:
    entries: int
    file: str


@dataclass(frozen=True)
class _UnitFiles:
    input: str
    reset_bias: str
    threshold: str


@dataclass(frozen=True)
class _Columns:
    """Files and widths of a block's columns."""

    lanes: list[_LaneFiles]
    directory: str
    start_bits: int
    count_bits: int
    images: list[MemoryImage]


def _bits(count: int) -> int:
    """Return the address bits of ``count`` things; one thing still takes one bit."""
    return max(1, (count - 1).bit_length())


def _path(image: MemoryImage) -> str:
    """Return the name by which `egru_rom` finds the image; it adds slice and suffix."""
    return f"{MEMORY_FOLDER}/{image.name}"


def lane_memories(block: BlockPlan, columns: list[LaneColumns], config: HardwareConfig) -> list[LaneMemory]:
    """Return the entry memory of every lane of ``block`` in the format that ``config`` asks for; the decoder has no groups of gates."""
    row_bits = _bits(block.rows)
    if config.entry_format == "gate-group" and block.layers:
        return [group_entries(lane, block.weight_bits, row_bits) for lane in columns]
    return [single_entries(lane, block.weight_bits, row_bits, block.field_bits) for lane in columns]


def _columns(block: BlockPlan, memories: list[LaneMemory]) -> _Columns:
    start_bits = max(_bits(len(lane.words)) for lane in memories)
    count_bits = max(1, int(max(lane.count.max(initial=0) for lane in memories)).bit_length())
    entries = [MemoryImage(f"{block.name}_lane{index}_entries", lane.bits, lane.words) for index, lane in enumerate(memories)]
    words = directory_words(memories, start_bits, count_bits)
    directory = MemoryImage(f"{block.name}_directory", len(memories) * (start_bits + count_bits), words)
    files = [_LaneFiles(len(image.words), _path(image)) for image in entries]
    return _Columns(files, _path(directory), start_bits, count_bits, [directory, *entries])


def _packed(values: list[int], bits: int) -> str:
    """Write ``values`` as one packed literal, the first lowest."""
    return f"{bits * len(values)}'h{sum(value << (bits * place) for place, value in enumerate(values)):x}"


def _engine(model: QuantizedModel, hardware: HardwarePlan, engine: BlockPlan) -> tuple[str, list[MemoryImage]]:
    formats, config = model.formats, hardware.config
    columns = _columns(engine, lane_memories(engine, engine_columns(model, hardware, engine), config))
    units, images = _unit_images(model, engine)
    first = engine.layers[0] == 0
    in_index_bits = _bits(model.tokens) if first else _bits(engine.inputs)
    text = render(
        "engine.sv.j2",
        plan=engine,
        neurons=sum(model.layers[layer].neurons for layer in engine.layers),
        formats=formats,
        lanes=columns.lanes,
        units=units,
        directory_file=columns.directory,
        start_bits=columns.start_bits,
        count_bits=columns.count_bits,
        column_bits=_bits(engine.columns),
        in_index_bits=in_index_bits,
        own_index_bits=_bits(engine.slots),
        row_bits=_bits(engine.rows),
        row_ends=_packed([part.first_row + part.packing.rows for part in engine.parts], 16),
        left_shifts=_packed([part.left_shift for part in engine.parts], 8),
        spread=max(part.left_shift for part in engine.parts),
        group="1'b1" if config.entry_format == "gate-group" else "1'b0",
        input_rows=model.tokens if first else 1,
        queue_depth=config.queue_depth,
        counter_bits=config.counter_bits,
        sigmoid_file=f"{MEMORY_FOLDER}/sigmoid",
        tanh_file=f"{MEMORY_FOLDER}/tanh",
    )
    return text, [*columns.images, *images]


def _unit_images(model: QuantizedModel, engine: BlockPlan) -> tuple[list[_UnitFiles], list[MemoryImage]]:
    """Return the images of the element-wise update, a slice of the lanes per unit."""
    formats = model.formats
    tokens = model.tokens if engine.layers[0] == 0 else 1
    table = np.zeros((tokens, 3, engine.slots), np.int64)
    reset_bias = np.zeros(engine.slots, np.int64)
    threshold = np.full(engine.slots, formats.state_max, np.int64)  # a padding row never fires
    for part in engine.parts:
        layer = model.layers[part.layer or 0]
        engine.scatter(part, model.input_table() if part.layer == 0 else layer.bias.astype(np.int64), table)
        engine.scatter(part, layer.reset_bias, reset_bias)
        engine.scatter(part, layer.threshold, threshold)

    units, images = [], []
    slots = engine.slots // engine.update_units
    for unit in range(engine.update_units):
        mine = slice(unit * slots, (unit + 1) * slots)
        name = f"{engine.name}_unit{unit}"
        rows = _input_rows(table[:, :, mine], engine)
        input_image = MemoryImage(f"{name}_input", 3 * formats.preact_bits, tuple(concatenate_fields(list(rows), formats.preact_bits)))
        bias_image = MemoryImage(f"{name}_reset_bias", formats.preact_bits, tuple(unsigned(reset_bias[mine], formats.preact_bits)))
        threshold_image = MemoryImage(f"{name}_threshold", formats.state_frac, tuple(unsigned(threshold[mine], formats.state_frac)))
        units.append(_UnitFiles(_path(input_image), _path(bias_image), _path(threshold_image)))
        images += [input_image, bias_image, threshold_image]
    return units, images


def _input_rows(table: np.ndarray, engine: BlockPlan) -> np.ndarray:
    """Order the inputs (tokens, gates, neurons of a unit) as the input memory has them: the first part token by token, the others once."""
    gates = table.shape[1]
    by_lane = table.reshape(table.shape[0], gates, -1, engine.rows)
    first = engine.parts[0].packing.rows
    per_token = by_lane[..., :first].transpose(1, 0, 2, 3).reshape(gates, -1)
    rows: np.ndarray = np.concatenate([per_token, by_lane[0, ..., first:].reshape(gates, -1)], axis=1)
    return rows


def _decoder(model: QuantizedModel, hardware: HardwarePlan) -> tuple[str, list[MemoryImage]]:
    block = hardware.decoder
    packing = block.parts[0].packing
    columns = _columns(block, lane_memories(block, decoder_columns(model, hardware), hardware.config))
    row_bits = _bits(block.rows)
    order = MemoryImage("decoder_order", _bits(block.lanes) + row_bits, tuple((packing.lane_of << row_bits | packing.row_of).tolist()))
    bias = MemoryImage("decoder_bias", block.acc_bits, tuple(unsigned(model.decoder.bias, block.acc_bits)))
    text = render(
        "decoder.sv.j2",
        plan=block,
        classes=model.classes,
        formats=model.formats,
        lanes=columns.lanes,
        directory_file=columns.directory,
        start_bits=columns.start_bits,
        count_bits=columns.count_bits,
        column_bits=_bits(block.columns),
        in_index_bits=_bits(block.inputs),
        row_bits=row_bits,
        queue_depth=hardware.config.queue_depth,
        counter_bits=hardware.config.counter_bits,
        order_file=_path(order),
        bias_file=_path(bias),
    )
    return text, [*columns.images, order, bias]


def _top(model: QuantizedModel, hardware: HardwarePlan) -> str:
    return render(
        "top.sv.j2",
        layer_count=len(model.layers),
        engines=[{"name": engine.name, "index_bits": _bits(engine.slots)} for engine in hardware.engines],
        tokens=model.tokens,
        classes=model.classes,
        token_bits=_bits(model.tokens),
        formats=model.formats,
        total_lanes=hardware.lanes,
        model_hash=model.content_hash(),
        logit_frac=hardware.decoder.acc_frac,
        stream_depth=hardware.config.stream_depth,
        stream_count_bits=hardware.config.stream_depth.bit_length(),
        counter_bits=hardware.config.counter_bits,
    )
