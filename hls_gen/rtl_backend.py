"""The RTL backend: a folder of SystemVerilog and memory images for one model on one hardware configuration.

rtl/        library modules and the generated wiring, top module `egru_top`
mem/        memory images; the sources name them relative to the folder, so simulate and synthesise from there
model/      the artifact itself
hardware.json   configuration, plan, hashes, and which physical index each neuron has
"""

import json
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

from hls_gen.backend import Backend
from hls_gen.block_memories import bias_image, hash_image, input_rows, lane_memories, place_bits, table_images, unit_images
from hls_gen.hardware_config import BlockPlan, HardwareConfig, HardwarePlan, plan
from hls_gen.library import closure, instantiated
from hls_gen.memory_image import MemoryImage, address_bits
from hls_gen.render import LIBRARY_FOLDER, render
from hls_gen.sparse_encoding import (
    LaneMemory,
    decoder_columns,
    directory_words,
    engine_columns,
)
from sw_model.errors import UserError
from sw_model.output_folder import staged_folder
from sw_model.quantized_model import QuantizedModel

RTL_FOLDER = "rtl"
MEMORY_FOLDER = "mem"
MODEL_FOLDER = "model"
HARDWARE_FILE = "hardware.json"
TOP_MODULE = "egru_top"
# Memories by number: what comes first, before those of the blocks.
HASH_MEMORY, SIGMOID_MEMORY, TANH_MEMORY = range(3)
# What the load bus can name: bits of a word, words of a memory.
PART_BITS, MAX_LOADED_BITS, MAX_LOADED_WORDS = 32, 16 * 32, 1 << 16


class Contents(NamedTuple):
    """How the contents of memories may change, as egru_rom.sv counts the ways.

    Attributes:
        entries: Of the memories of entries.
        others: Of all others.
    """

    entries: int
    others: int


CONTENTS = {"fixed": Contents(0, 0), "swappable": Contents(1, 1), "loadable": Contents(2, 2), "single-port": Contents(3, 0)}


@dataclass(frozen=True)
class GeneratedRtl:
    """What was generated, in memory.

    Attributes:
        plan: Lanes, rows and widths.
        sources: Generated SystemVerilog by file name.
        library: Library files that the sources instantiate.
        memories: All memory images, in the order of their numbers.
    """

    plan: HardwarePlan
    sources: dict[str, str]
    library: tuple[Path, ...]
    memories: tuple[MemoryImage, ...]

    @property
    def files(self) -> list[str]:
        """File names of all sources, sorted."""
        return sorted([*self.sources, *(path.name for path in self.library)])


def generate(model: QuantizedModel, config: HardwareConfig) -> GeneratedRtl:
    """Generate the RTL of ``model``; the same input gives the same bytes.

    Raises:
        UserError: When the configuration cannot work for this model.
    """
    hardware = plan(model, config)
    memories = [hash_image(model), *table_images(model)]
    sources: dict[str, str] = {}
    for engine in hardware.engines:
        text, images = _engine(model, hardware, engine, len(memories))
        sources[f"egru_{engine.name}.sv"] = text
        memories += images
    text, images = _decoder(model, hardware, len(memories))
    sources["egru_decoder.sv"] = text
    memories += images
    sources[f"{TOP_MODULE}.sv"] = _top(model, hardware, memories[HASH_MEMORY])
    _check_loadable([memories[number] for number in loaded_memories(config, memories)])
    return GeneratedRtl(hardware, sources, library_files(sources.values()), tuple(memories))


def write(model: QuantizedModel, config: HardwareConfig, folder: Path, *, force: bool = False) -> GeneratedRtl:
    """Generate ``model`` and write the folder described above, all or nothing.

    Raises:
        UserError: When the configuration cannot work, or ``folder`` may not be written.
    """
    generated = generate(model, config)
    with staged_folder(folder, force=force) as staging:
        write_core(model, generated, staging)
    return generated


def write_core(model: QuantizedModel, generated: GeneratedRtl, folder: Path) -> None:
    """Write what `write` writes into ``folder``, which exists."""
    (folder / RTL_FOLDER).mkdir()
    (folder / MEMORY_FOLDER).mkdir()
    for path in generated.library:
        shutil.copyfile(path, folder / RTL_FOLDER / path.name)
    for name, text in generated.sources.items():
        (folder / RTL_FOLDER / name).write_text(text)
    for image in generated.memories:
        for name, text in image.files().items():
            (folder / MEMORY_FOLDER / name).write_text(text)
    model.save(folder / MODEL_FOLDER)
    (folder / HARDWARE_FILE).write_text(json.dumps(describe(model, generated), indent=1, sort_keys=True) + "\n")


def library_files(sources: Iterable[str]) -> tuple[Path, ...]:
    """Return the library modules that ``sources`` (texts) instantiate, with all that those need, in a fixed order."""
    known = [path.stem for path in LIBRARY_FOLDER.glob("*.sv")]
    return tuple(closure({name for text in sources for name in instantiated(text, known)}, LIBRARY_FOLDER))


def describe(model: QuantizedModel, generated: GeneratedRtl) -> dict[str, Any]:
    """Return what a reader of the folder needs: configuration, sizes, memories, and the physical index of every neuron and class."""
    return {
        "format": Backend.RTL.folder_format,
        "version": 2,
        **describe_blocks(model, generated.plan),
        "shape": model_shape(model),
        "memories": memory_table(generated.memories),
    }


def describe_blocks(model: QuantizedModel, hardware: HardwarePlan) -> dict[str, Any]:
    """Return what holds for the hardware of ``model`` in any language."""
    return {
        "model_hash": model.content_hash(),
        "config": hardware.config.model_dump(mode="json"),
        "formats": asdict(model.formats),
        "tokens": model.tokens,
        **({"channels": model.channels} if model.channels else {}),
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
                "capacity": block.capacity,
                "physical_index": [block.slot_of(part).tolist() for part in block.parts],
            }
            for block in hardware.blocks
        ],
    }


def model_shape(model: QuantizedModel) -> dict[str, int]:
    """Return everything of ``model`` that hardware with exchangeable weights depends on, by name."""
    shape = {"layers": len(model.layers), "tokens": model.tokens, "classes": model.classes}
    shape |= {f"formats.{name}": value for name, value in asdict(model.formats).items()}
    for index, layer in enumerate(model.layers):
        shape |= {f"layers.{index}.{name}": getattr(layer, name) for name in ("neurons", "weight_bits", "weight_frac")}
    return shape | {f"decoder.{name}": getattr(model.decoder, name) for name in ("weight_bits", "weight_frac")}


def memory_table(memories: Sequence[MemoryImage]) -> list[dict[str, Any]]:
    """Return name, number and size of every memory; a host that loads weights names memories by number."""
    return [{"name": image.name, "number": number, "bits": image.bits, "depth": len(image.words)} for number, image in enumerate(memories)]


def loaded_memories(config: HardwareConfig, memories: Sequence[MemoryImage]) -> list[int]:
    """Return the numbers of the memories that a host loads: all of them, the hash and those that start empty, or none."""
    loaded = [number for number, image in enumerate(memories) if _is_loaded(config, image)]
    return sorted({HASH_MEMORY, *loaded}) if loaded else []


def _is_loaded(config: HardwareConfig, image: MemoryImage) -> bool:
    return config.weights == "loadable" or not image.initial


@dataclass(frozen=True)
class _LaneFiles:
    entries: int
    file: str
    memory: int


@dataclass(frozen=True)
class _UnitFiles:
    input: str
    reset_bias: str
    threshold: str
    memory: int


@dataclass(frozen=True)
class _Columns:
    """Files, memory numbers and widths of a block's columns."""

    lanes: list[_LaneFiles]
    directory_file: str
    directory_memory: int
    start_bits: int
    count_bits: int
    images: list[MemoryImage]


def _path(image: MemoryImage) -> str:
    """Return the name by which `egru_rom` finds the image; it adds slice and suffix."""
    return f"{MEMORY_FOLDER}/{image.name}"


def _columns(block: BlockPlan, memories: list[LaneMemory], first_memory: int, config: HardwareConfig) -> _Columns:
    start_bits, count_bits = place_bits(block, memories)
    entries = [
        MemoryImage(f"{block.name}_lane{index}_entries", lane.bits, lane.words, not config.starts_empty)
        for index, lane in enumerate(memories)
    ]
    words = directory_words(memories, start_bits, count_bits)
    directory = MemoryImage(f"{block.name}_directory", len(memories) * (start_bits + count_bits), words)
    files = [_LaneFiles(len(image.words), _path(image), first_memory + 1 + index) for index, image in enumerate(entries)]
    return _Columns(files, _path(directory), first_memory, start_bits, count_bits, [directory, *entries])


def _packed(values: list[int], bits: int) -> str:
    """Write ``values`` as one packed literal, the first lowest."""
    return f"{bits * len(values)}'h{sum(value << (bits * place) for place, value in enumerate(values)):x}"


def _check_loadable(memories: list[MemoryImage]) -> None:
    for image in memories:
        for found, limit, what, remedy in (
            (image.bits, MAX_LOADED_BITS, "bits", "use fewer lanes in this block"),
            (len(image.words), MAX_LOADED_WORDS, "words", "use a smaller weight_capacity, or more update units"),
        ):
            if found > limit:
                reason = f"exceeds the {limit} that can be loaded"
                raise UserError(f"memory {image.name} of {found} {what}", reason, f"{remedy}, or use weights=swappable")


def _load_bits(config: HardwareConfig, images: list[MemoryImage]) -> int:
    """Return the width of the widest word of a block that is loaded, in whole parts."""
    return max((-(-image.bits // PART_BITS) for image in images if _is_loaded(config, image)), default=1) * PART_BITS


def _engine(model: QuantizedModel, hardware: HardwarePlan, engine: BlockPlan, first_memory: int) -> tuple[str, list[MemoryImage]]:
    formats, config = model.formats, hardware.config
    columns = _columns(engine, lane_memories(engine, engine_columns(model, hardware, engine), config), first_memory, config)
    units, images = [], list(columns.images)
    for unit in unit_images(model, engine):
        units.append(_UnitFiles(_path(unit.input), _path(unit.reset_bias), _path(unit.threshold), first_memory + len(images)))
        images += [unit.input, unit.reset_bias, unit.threshold]
    text = render(
        "engine.sv.j2",
        plan=engine,
        neurons=sum(model.layers[layer].neurons for layer in engine.layers),
        formats=formats,
        columns=columns,
        units=units,
        column_bits=address_bits(engine.columns),
        in_index_bits=address_bits(engine.inputs or model.tokens),
        own_index_bits=address_bits(engine.slots),
        row_bits=address_bits(engine.rows),
        row_ends=_packed([part.first_row + part.packing.rows for part in engine.parts], 16),
        left_shifts=_packed([part.left_shift for part in engine.parts], 8),
        spread=max(part.left_shift for part in engine.parts),
        group="1'b1" if config.entry_format == "gate-group" else "1'b0",
        input_rows=input_rows(model, engine),
        queue_depth=config.queue_depth,
        event_queue_depth=config.event_queue_depth,
        counter_bits=config.counter_bits,
        sigmoid_file=f"{MEMORY_FOLDER}/sigmoid",
        tanh_file=f"{MEMORY_FOLDER}/tanh",
        table_memory=SIGMOID_MEMORY,
        weights=CONTENTS[config.weights],
        load_bits=_load_bits(config, images),
    )
    return text, images


def _decoder(model: QuantizedModel, hardware: HardwarePlan, first_memory: int) -> tuple[str, list[MemoryImage]]:
    block = hardware.decoder
    packing = block.parts[0].packing
    columns = _columns(block, lane_memories(block, decoder_columns(model, hardware), hardware.config), first_memory, hardware.config)
    row_bits = address_bits(block.rows)
    order = MemoryImage(
        "decoder_order", address_bits(block.lanes) + row_bits, tuple((packing.lane_of << row_bits | packing.row_of).tolist())
    )
    bias = bias_image(model, block)
    images = [*columns.images, order, bias]
    text = render(
        "decoder.sv.j2",
        plan=block,
        classes=model.classes,
        formats=model.formats,
        columns=columns,
        column_bits=address_bits(block.columns),
        in_index_bits=address_bits(block.inputs),
        row_bits=row_bits,
        queue_depth=hardware.config.queue_depth,
        counter_bits=hardware.config.counter_bits,
        order_file=_path(order),
        bias_file=_path(bias),
        order_memory=first_memory + len(columns.images),
        weights=CONTENTS[hardware.config.weights],
        load_bits=_load_bits(hardware.config, images),
    )
    return text, images


def _top(model: QuantizedModel, hardware: HardwarePlan, hash_image: MemoryImage) -> str:
    return render(
        "top.sv.j2",
        layer_count=len(model.layers),
        engines=[{"name": engine.name, "index_bits": address_bits(engine.slots)} for engine in hardware.engines],
        tokens=model.tokens,
        channels=model.channels,
        classes=model.classes,
        index_bits=address_bits(model.channels or model.tokens),
        formats=model.formats,
        total_lanes=hardware.lanes,
        hash_file=_path(hash_image),
        weights=CONTENTS[hardware.config.weights],
        logit_frac=hardware.decoder.acc_frac,
        stream_depth=hardware.config.stream_depth,
        stream_count_bits=hardware.config.stream_depth.bit_length(),
        counter_bits=hardware.config.counter_bits,
    )
