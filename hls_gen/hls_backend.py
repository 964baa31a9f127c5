"""The HLS backend: C++ for Vitis HLS and Bambu, for one model on one hardware configuration.

hls/            generated parameters, tables and wiring, top function `egru_top`; hls/lib/ the hand-written library
model/          the artifact itself
hardware.json   configuration, plan, hashes, and which physical index each neuron has
"""

import json
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from hls_gen.backend import Backend
from hls_gen.block_memories import bias_image, lane_memories, place_bits, table_images, unit_images
from hls_gen.hardware_config import BlockPlan, HardwareConfig, HardwarePlan, plan
from hls_gen.hls_check import Finding, check_synthesisable, read_sources, require_synthesisable
from hls_gen.memory_image import MemoryImage, address_bits, total_bits
from hls_gen.render import TEMPLATE_FOLDER, render
from hls_gen.rtl_backend import HARDWARE_FILE, MODEL_FOLDER, describe_blocks
from hls_gen.sparse_encoding import LaneMemory, decoder_columns, engine_columns
from sw_model.errors import UserError
from sw_model.quantized_model import QuantizedModel

HLS_FOLDER = "hls"
HLS_LIBRARY = TEMPLATE_FOLDER / "hls" / "lib"
TOP_FUNCTION = "egru_top"
TOP_SOURCE = f"{TOP_FUNCTION}.cpp"
CSIM_SOURCE = "egru_csim.cpp"
#: What no HLS compiler is to see, by its path in `HLS_FOLDER`.
SIMULATION_ONLY = frozenset({CSIM_SOURCE, f"{HLS_LIBRARY.name}/checked_stream.hpp"})
#: Nothing but numbers.
TABLES_SOURCE = "egru_tables.hpp"
VERSION = 1
#: The widest word of a table: C simulation holds it in a native integer.
MAX_WORD_BITS = 64
#: The widest sum: products and the half that rounding adds are C's int.
MAX_SUM_BITS = 31
#: The stream from the AXI4-Stream input to the first block.
INPUT_WIRE = "inputs"
LOGITS = "m_axis"
GATES = 3


@dataclass(frozen=True)
class Wire:
    """A stream between two processes.

    Attributes:
        name: Its name in the top function.
        bits: Width of its words.
        depth: Words that it holds.
    """

    name: str
    bits: int
    depth: int


@dataclass(frozen=True)
class Port:
    """A stream of a process.

    Attributes:
        name: Its parameter's name.
        wire: What it is connected to: the name of a `Wire`, or of a stream of the top function.
        bits: Width of its words; of a stream to the outside {last, data}.
        direction: Whether the process reads or writes it.
        outside: Whether it leaves the top function.
    """

    name: str
    wire: str
    bits: int
    direction: Literal["in", "out"]
    outside: bool = False

    @property
    def type(self) -> str:
        """Its C++ type."""
        return f"egru::output<{self.bits - 1}>" if self.outside else f"egru::stream<{self.bits}>"


@dataclass(frozen=True)
class Process:
    """A function that runs beside the others and knows them by its streams only.

    Attributes:
        name: Its name, also that of the module that Bambu makes of it.
        block: Name of the block that it belongs to.
        ports: Its streams.
        statement: What it does, in C++.
    """

    name: str
    block: str
    ports: tuple[Port, ...]
    statement: str

    @property
    def arguments(self) -> list[str]:
        """What its parameters are connected to."""
        return [port.wire for port in self.ports]


@dataclass(frozen=True)
class GeneratedHls:
    """What was generated, in memory.

    Attributes:
        plan: Lanes, rows and widths.
        sources: Generated C++ by file name.
        library: Headers of the library.
        processes: The processes of the top function, in the order of the flow.
        wires: The streams between them; the first one carries the tokens or input events.
        memory_bits: Bits of all tables.
    """

    plan: HardwarePlan
    sources: dict[str, str]
    library: tuple[Path, ...]
    processes: tuple[Process, ...]
    wires: tuple[Wire, ...]
    memory_bits: int


def generate(model: QuantizedModel, config: HardwareConfig) -> GeneratedHls:
    """Generate the HLS C++ of ``model``; the same input gives the same bytes.

    Raises:
        UserError: When the configuration cannot work for this model, or cannot be said in HLS.
        AssertionError: When what the templates made cannot be synthesised.
    """
    _check(config)
    hardware = plan(model, config)
    for block in hardware.blocks:
        if block.acc_bits > MAX_SUM_BITS:
            rule = f"exceeds the {MAX_SUM_BITS} of HLS C++"
            raise UserError(
                f"accumulator of {block.acc_bits} bits in {block.name}", rule, "use fewer weight or event bits, or --backend rtl"
            )
    blocks = [_block(model, hardware, block) for block in hardware.blocks]
    images = [*table_images(model), *(image for block in blocks for image in block["images"])]
    for image in images:
        if image.bits > MAX_WORD_BITS:
            raise UserError(
                f"memory {image.name} of {image.bits} bits", f"exceeds the {MAX_WORD_BITS} of HLS tables", "use entry_format=single"
            )
    wires, processes = _network(hardware, blocks)
    values: dict[str, Any] = {
        "hash": model.content_hash(),
        "tokens": model.tokens,
        "channels": model.channels,
        "classes": model.classes,
        "input_bits": blocks[0]["input_bits"],
        "formats": model.formats,
        "tables": [{"name": image.name, "bits": image.bits, "words": image.words} for image in images],
        "blocks": blocks,
        "engines": hardware.engines,
        "wires": wires,
        "processes": processes,
        "total_lanes": hardware.lanes,
        "logit_frac": hardware.decoder.acc_frac,
    }
    templates = {
        TABLES_SOURCE: "tables.hpp.j2",
        "egru_model.hpp": "model.hpp.j2",
        f"{TOP_FUNCTION}.hpp": "top.hpp.j2",
        TOP_SOURCE: "top.cpp.j2",
        CSIM_SOURCE: "csim.cpp.j2",
    }
    sources = {name: render(f"hls/{template}", **values) for name, template in templates.items()}
    library = tuple(sorted(HLS_LIBRARY.glob("*.hpp")))
    code = {f"{HLS_LIBRARY.name}/{path.name}": path.read_text() for path in library} | sources
    require_synthesisable({name: text for name, text in code.items() if name not in (*SIMULATION_ONLY, TABLES_SOURCE)})
    return GeneratedHls(hardware, sources, library, tuple(processes), tuple(wires), total_bits(images))


def write_core(model: QuantizedModel, generated: GeneratedHls, folder: Path) -> None:
    """Write the folder described above into ``folder``, which exists."""
    library = folder / HLS_FOLDER / HLS_LIBRARY.name
    library.mkdir(parents=True)
    for path in generated.library:
        shutil.copyfile(path, library / path.name)
    for name, text in generated.sources.items():
        (folder / HLS_FOLDER / name).write_text(text)
    model.save(folder / MODEL_FOLDER)
    (folder / HARDWARE_FILE).write_text(json.dumps(describe(model, generated), indent=1, sort_keys=True) + "\n")


def check_folder(folder: Path) -> list[Finding]:
    """Find what no HLS compiler takes in a folder that `write_core` wrote: a user may have edited it.

    Raises:
        UserError: When a source is no text, or nested too deep to be read.
    """
    sources = read_sources(folder / HLS_FOLDER, (*SIMULATION_ONLY, TABLES_SOURCE))
    try:
        return check_synthesisable(sources)
    except RecursionError:
        raise UserError(f"sources in {folder / HLS_FOLDER}", "are nested too deep to be read", "generate the folder again") from None


def describe(model: QuantizedModel, generated: GeneratedHls) -> dict[str, Any]:
    """Return what a reader of the folder needs: configuration, sizes, processes, and the physical index of every neuron and class."""
    return {
        "format": Backend.HLS.folder_format,
        "version": VERSION,
        **describe_blocks(model, generated.plan),
        "processes": [asdict(process) for process in generated.processes],
        "wires": [asdict(wire) for wire in generated.wires],
    }


def _check(config: HardwareConfig) -> None:
    """Refuse by name what the C++ cannot say (docs/decisions)."""
    backend = "cannot be said in HLS C++"
    if config.engines != "per-layer":
        raise UserError(f"engines={config.engines}", backend, "use engines=per-layer, or --backend rtl")
    if config.weights != "fixed":
        raise UserError(f"weights={config.weights}", backend, "use weights=fixed, or --backend rtl")


def _block(model: QuantizedModel, hardware: HardwarePlan, block: BlockPlan) -> dict[str, Any]:
    """Return what the templates need to know of a block."""
    engine = bool(block.layers)
    columns = engine_columns(model, hardware, block) if engine else decoder_columns(model, hardware)
    memories = lane_memories(block, columns, hardware.config)
    start_bits, count_bits = place_bits(block, memories)
    lane_tables, images = [], []
    for index, lane in enumerate(memories):
        name = f"{block.name}_lane{index}"
        entries = MemoryImage(f"{name}_entries", lane.bits, lane.words)
        images += [entries, MemoryImage(f"{name}_places", start_bits + count_bits, _places(lane, count_bits))]
        lane_tables.append({"name": name, "entry_bits": lane.bits})
    reads_tokens = engine and block.layers[0] == 0 and model.tokens > 0
    units = []
    for index, unit in enumerate(unit_images(model, block) if engine else []):
        lanes = block.lanes // block.update_units
        units.append({"name": f"{block.name}_unit{index}", "lanes": lanes, "first_slot": index * lanes * block.rows})
        images += [unit.input, unit.reset_bias, unit.threshold]
    if not engine:
        slots = tuple(block.slot_of(block.parts[0]).tolist())
        images += [MemoryImage("decoder_slot", address_bits(block.slots), slots), bias_image(model, block)]
    return {
        "name": block.name,
        "title": f"{'Layer' if engine else 'Decoder'}: {block.lanes} lane(s) of {block.rows} rows",
        "lanes": block.lanes,
        "rows": block.rows,
        "fields": 1 << block.field_bits,
        "group": "true" if engine and hardware.config.entry_format == "gate-group" else "false",
        "own": block.own,
        "weight_bits": block.weight_bits,
        "acc_bits": block.acc_bits,
        "acc_frac": block.acc_frac,
        "key_bits": address_bits(block.rows) + block.field_bits,
        "column_bits": address_bits(block.columns),
        "start_bits": start_bits,
        "count_bits": count_bits,
        "tokens": model.tokens if reads_tokens else 1,
        "has_token": "true" if reads_tokens else "false",
        "token_bits": address_bits(model.tokens) if reads_tokens else 1,
        "index_bits": address_bits(block.slots),
        "input_bits": address_bits(model.tokens if reads_tokens else block.inputs),
        "event_bits": model.formats.event_bits,
        "lane_tables": lane_tables,
        "units": units,
        "images": images,
    }


def _places(lane: LaneMemory, count_bits: int) -> tuple[int, ...]:
    """Return {address of the first entry, entries} of every column; a column without entries has no address."""
    return tuple((int(start) if count else 0) << count_bits | int(count) for start, count in zip(lane.start, lane.count, strict=True))


def _network(hardware: HardwarePlan, blocks: list[dict[str, Any]]) -> tuple[list[Wire], list[Process]]:
    """Connect the processes of all blocks by streams."""
    config = hardware.config
    wires = [Wire(INPUT_WIRE, _item_bits(blocks[0]["input_bits"], blocks[0]), 2)]
    processes: list[Process] = []
    source = INPUT_WIRE
    for plan_of, block in zip(hardware.blocks, blocks, strict=True):
        builder = _BlockNetwork(config, plan_of, block, wires, processes)
        source = builder.engine(source) if block["units"] else builder.decoder(source)
    return wires, processes


def _item_bits(index_bits: int, block: dict[str, Any]) -> int:
    return index_bits + int(block["event_bits"]) + 3


class _BlockNetwork:
    """Adds the processes and streams of one block."""

    def __init__(
        self, config: HardwareConfig, plan_of: BlockPlan, block: dict[str, Any], wires: list[Wire], processes: list[Process]
    ) -> None:
        self._config, self._plan, self._block, self._wires, self._processes = config, plan_of, block, wires, processes
        self._name: str = block["name"]
        self._own_bits = _item_bits(block["index_bits"], block)
        self._step_bits: int = block["token_bits"] + 2

    def engine(self, source: str) -> str:
        """Add a layer that reads ``source``; return the stream of its events."""
        block, name = self._block, self._name
        units = [unit["name"] for unit in block["units"]]
        # A whole step may wait here while the lanes still walk the one before.
        own = self._wire("own", self._own_bits, self._plan.slots + 1)
        following = self._wire("forward", self._own_bits, self._config.stream_depth)
        steps = [self._wire(f"unit{index}_steps", self._step_bits, 2) for index in range(len(units))]
        sums = self._lanes([Port("own", own, self._own_bits, "in")], source, steps)
        unit_events = []
        per_unit = self._plan.lanes // len(units)
        for index, unit in enumerate(units):
            found = self._wire(f"unit{index}_events", self._own_bits, self._config.event_queue_depth)
            mine = sums[index * per_unit : (index + 1) * per_unit]
            ports = [Port("steps", steps[index], self._step_bits, "in"), Port("events", found, self._own_bits, "out")]
            self._add(unit, f"egru::update_rows<egru::{unit}>", [*ports, *self._sum_ports(mine)])
            unit_events.append(found)
        ports = [
            Port("own", own, self._own_bits, "out"),
            Port("next", following, self._own_bits, "out"),
            Port("outside", f"{name}_events", 33, "out", outside=True),
            *(Port(f"unit{index}", wire, self._own_bits, "in") for index, wire in enumerate(unit_events)),
        ]
        self._add(f"{name}_merge", f"egru::merge_events<egru::{name}>", ports)
        return following

    def decoder(self, source: str) -> str:
        """Add the decoder; return the stream of its logits."""
        steps = self._wire("steps", self._step_bits, 2)
        sums = self._lanes([], source, [steps])
        ports = [Port("steps", steps, self._step_bits, "in"), Port("logits", LOGITS, 33, "out", outside=True)]
        self._add(f"{self._name}_readout", f"egru::read_out<egru::{self._name}>", [*ports, *self._sum_ports(sums)])
        return LOGITS

    def _lanes(self, own: list[Port], source: str, steps: list[str]) -> list[str]:
        """Add the sequencer and the lanes; return the streams of their sums."""
        block, name = self._block, self._name
        item_bits = 2 + block["start_bits"] + block["count_bits"] + block["event_bits"]
        lanes = [lane["name"] for lane in block["lane_tables"]]
        queues = [self._wire(f"lane{index}_queue", item_bits, self._config.queue_depth) for index in range(len(lanes))]
        # All sums of a step find room: a lane walks the next step while they are updated.
        sums = [self._wire(f"lane{index}_sums", block["acc_bits"], block["rows"] * block["fields"]) for index in range(len(lanes))]
        inputs = [*own, Port("input", source, _item_bits(block["input_bits"], block), "in")]
        queue_ports = [Port(f"queue{index}", wire, item_bits, "out") for index, wire in enumerate(queues)]
        step_ports = [Port(f"steps{index}", wire, self._step_bits, "out") for index, wire in enumerate(steps)]
        lane_types = ", ".join(f"egru::{lane}" for lane in lanes)
        run = f"egru::sequencer<egru::{name}, {lane_types}>::{'run' if own else 'run_without_own'}({_names([*inputs, *queue_ports])})"
        ports = (*inputs, *queue_ports, *step_ports)
        self._processes.append(Process(f"{name}_sequencer", name, ports, f"egru::send({run}, {_names(step_ports)})"))
        for index, lane in enumerate(lanes):
            lane_ports = [Port("queue", queues[index], item_bits, "in"), Port("sums", sums[index], block["acc_bits"], "out")]
            self._add(lane, f"egru::walk_columns<egru::{name}, egru::{lane}>", lane_ports)
        return sums

    def _sum_ports(self, wires: list[str]) -> list[Port]:
        return [Port(f"sums{index}", wire, self._block["acc_bits"], "in") for index, wire in enumerate(wires)]

    def _wire(self, name: str, bits: int, depth: int) -> str:
        self._wires.append(Wire(f"{self._name}_{name}", bits, depth))
        return self._wires[-1].name

    def _add(self, name: str, function: str, ports: list[Port]) -> None:
        """Add a process that hands all its streams to ``function``."""
        self._processes.append(Process(name, self._name, tuple(ports), f"{function}({_names(ports)})"))


def _names(ports: list[Port]) -> str:
    return ", ".join(port.name for port in ports)
