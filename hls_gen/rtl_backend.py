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

from hls_gen.hardware_config import HardwareConfig, HardwarePlan, MatrixPlan, plan
from hls_gen.memory_image import MemoryImage, concatenate_fields, unsigned
from hls_gen.render import LIBRARY_FOLDER, render
from hls_gen.sparse_encoding import LaneColumns, decoder_columns, entry_words, layer_columns, pointer_words
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
    for index in range(len(model.layers)):
        text, images = _layer(model, hardware, index)
        sources[f"egru_layer{index}.sv"] = text
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
            (staging / MEMORY_FOLDER / image.file).write_text(image.text())
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
        "version": 1,
        "model_hash": model.content_hash(),
        "config": hardware.config.model_dump(mode="json"),
        "formats": asdict(model.formats),
        "tokens": model.tokens,
        "classes": model.classes,
        "blocks": [
            {
                "name": block.name,
                "lanes": block.packing.lanes,
                "rows": block.packing.rows,
                "update_units": block.update_units,
                "acc_bits": block.acc_bits,
                "acc_frac": block.acc_frac,
                "weight_bits": block.weight_bits,
                "physical_index": block.packing.slot_of.tolist(),
            }
            for block in hardware.blocks
        ],
    }


@dataclass(frozen=True)
class _LaneFiles:
    entries: int
    pointers: str
    columns: str


@dataclass(frozen=True)
class _UnitFiles:
    input: str
    reset_bias: str
    threshold: str


def _bits(count: int) -> int:
    """Return the address bits of ``count`` things; one thing still takes one bit."""
    return max(1, (count - 1).bit_length())


def _path(image: MemoryImage) -> str:
    return f"{MEMORY_FOLDER}/{image.file}"


def _lane_images(block: MatrixPlan, columns: list[LaneColumns]) -> tuple[list[_LaneFiles], list[MemoryImage], int]:
    """Return each lane's files, their images, and the width of an entry count."""
    count_bits = max(1, int(max(lane.count.max(initial=0) for lane in columns)).bit_length())
    gates = block.fields > 1
    entry_bits = _bits(block.packing.rows) + (2 if gates else 0) + block.weight_bits
    files, images = [], []
    for lane, content in enumerate(columns):
        # A lane without weights still has one word: no memory is empty.
        words = entry_words(content, block.weight_bits, gates=gates).tolist() or [0]
        start_bits = _bits(len(words))
        pointers = MemoryImage(
            f"{block.name}_lane{lane}_pointers",
            start_bits + count_bits,
            tuple(_clipped(pointer_words(content, count_bits), start_bits + count_bits)),
        )
        entries = MemoryImage(f"{block.name}_lane{lane}_entries", entry_bits, tuple(words))
        files.append(_LaneFiles(len(words), _path(pointers), _path(entries)))
        images += [pointers, entries]
    return files, images, count_bits


def _clipped(words: np.ndarray, bits: int) -> list[int]:
    """Drop address bits of empty columns at the very end, whose start is one past the last entry and never used."""
    return [int(word) & ((1 << bits) - 1) for word in words]


def _layer(model: QuantizedModel, hardware: HardwarePlan, index: int) -> tuple[str, list[MemoryImage]]:
    layer, block, formats = model.layers[index], hardware.layers[index], model.formats
    packing = block.packing
    columns = layer_columns(layer, block, hardware.layers[index - 1].packing if index else None)
    lanes, images, count_bits = _lane_images(block, columns)

    # Rows of the input memory: the token table in the first layer, else the bias alone.
    table = model.input_table() if index == 0 else layer.bias.astype(np.int64)[np.newaxis]
    table = packing.scatter(table, 0)
    reset_bias = packing.scatter(layer.reset_bias, 0)
    threshold = packing.scatter(layer.threshold, formats.state_max)
    units = []
    slots = packing.slots // block.update_units
    for unit in range(block.update_units):
        mine = slice(unit * slots, (unit + 1) * slots)
        name = f"{block.name}_unit{unit}"
        gates = [table[:, gate, mine].reshape(-1) for gate in range(3)]
        input_image = MemoryImage(f"{name}_input", 3 * formats.preact_bits, tuple(concatenate_fields(gates, formats.preact_bits)))
        bias_image = MemoryImage(f"{name}_reset_bias", formats.preact_bits, tuple(unsigned(reset_bias[mine], formats.preact_bits)))
        threshold_image = MemoryImage(f"{name}_threshold", formats.state_frac, tuple(unsigned(threshold[mine], formats.state_frac)))
        units.append(_UnitFiles(_path(input_image), _path(bias_image), _path(threshold_image)))
        images += [input_image, bias_image, threshold_image]

    in_index_bits = _bits(model.tokens) if index == 0 else _bits(block.inputs)
    own_index_bits = _bits(packing.slots)
    text = render(
        "layer.sv.j2",
        plan=block,
        neurons=layer.neurons,
        formats=formats,
        lanes=lanes,
        units=units,
        count_bits=count_bits,
        in_index_bits=in_index_bits,
        own_index_bits=own_index_bits,
        bus_index_bits=max(in_index_bits, own_index_bits),
        row_bits=_bits(packing.rows),
        input_rows=len(table),
        queue_depth=hardware.config.queue_depth,
        counter_bits=hardware.config.counter_bits,
        sigmoid_file=f"{MEMORY_FOLDER}/sigmoid.mem",
        tanh_file=f"{MEMORY_FOLDER}/tanh.mem",
    )
    return text, images


def _decoder(model: QuantizedModel, hardware: HardwarePlan) -> tuple[str, list[MemoryImage]]:
    block = hardware.decoder
    packing = block.packing
    lanes, images, count_bits = _lane_images(block, decoder_columns(model.decoder, block, hardware.layers[-1].packing))
    row_bits = _bits(packing.rows)
    order = MemoryImage("decoder_order", _bits(packing.lanes) + row_bits, tuple((packing.lane_of << row_bits | packing.row_of).tolist()))
    bias = MemoryImage("decoder_bias", block.acc_bits, tuple(unsigned(model.decoder.bias, block.acc_bits)))
    text = render(
        "decoder.sv.j2",
        plan=block,
        classes=model.classes,
        formats=model.formats,
        lanes=lanes,
        count_bits=count_bits,
        in_index_bits=_bits(block.inputs),
        row_bits=row_bits,
        queue_depth=hardware.config.queue_depth,
        counter_bits=hardware.config.counter_bits,
        order_file=_path(order),
        bias_file=_path(bias),
    )
    return text, [*images, order, bias]


def _top(model: QuantizedModel, hardware: HardwarePlan) -> str:
    return render(
        "top.sv.j2",
        layers=[{"name": block.name, "index_bits": _bits(block.packing.slots)} for block in hardware.layers],
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
