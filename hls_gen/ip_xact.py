"""The core as an IP: its ports gathered into interfaces, and the IP-XACT (IEEE 1685-2009) description that other tools read."""

import re
import xml.etree.ElementTree as ET
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from hls_gen.registers import COUNTERS, HASH_WORDS, Register, counters_address

VENDOR = "egru-fpga"
LIBRARY = "user"
IP_MODULE = "egru_ip"
VERSION = "1.0"
DISPLAY_NAME = "Event-based GRU accelerator"
MEMORY_MAP = "s_axil"
ADDRESS_BLOCK = "reg0"
ADDRESS_BYTES = 4096
WORD_BYTES = 4

SPIRIT = "http://www.spiritconsortium.org/XMLSchema/SPIRIT/1685-2009"
SCHEMA_INSTANCE = "http://www.w3.org/2001/XMLSchema-instance"
SCHEMA_LOCATION = f"{SPIRIT} {SPIRIT}/index.xsd"

Access = Literal["read-only", "write-only", "read-write"]
#: What a program may do with a register; with all others it may read only.
ACCESS: dict[str, Access] = {
    "CONTROL": "read-write",
    "ERRORS": "read-write",
    "IRQ_STATUS": "read-write",
    "LOAD_ADDRESS": "read-write",
    "LOAD_DATA": "write-only",
}
#: Registers of two words, the low one first.
WIDE = (Register.CYCLES, Register.STEPS)


@dataclass(frozen=True)
class Port:
    """A port of the core."""

    name: str
    direction: Literal["in", "out"]
    bits: int


@dataclass(frozen=True)
class BusType:
    """A kind of interface: vendor, library, name and version of the bus, and of its signals."""

    bus: str
    abstraction: str


AXI_STREAM = BusType("xilinx.com:interface:axis:1.0", "xilinx.com:interface:axis_rtl:1.0")
AXI_MEMORY_MAPPED = BusType("xilinx.com:interface:aximm:1.0", "xilinx.com:interface:aximm_rtl:1.0")
CLOCK = BusType("xilinx.com:signal:clock:1.0", "xilinx.com:signal:clock_rtl:1.0")
RESET = BusType("xilinx.com:signal:reset:1.0", "xilinx.com:signal:reset_rtl:1.0")
INTERRUPT = BusType("xilinx.com:signal:interrupt:1.0", "xilinx.com:signal:interrupt_rtl:1.0")


@dataclass(frozen=True)
class Interface:
    """Ports that belong together.

    Attributes:
        name: Of the interface.
        type: Its kind.
        mode: Who drives: ``master`` drives TVALID, the clock's user is a ``slave``.
        ports: Signal name of the bus and the core's port, in the core's order.
        parameters: What a tool wants to know of it.
    """

    name: str
    type: BusType
    mode: Literal["master", "slave"]
    ports: tuple[tuple[str, Port], ...]
    parameters: tuple[tuple[str, str], ...]

    def bits(self, signal: str) -> int:
        """Return the width of a signal of the bus."""
        return dict(self.ports)[signal].bits


@dataclass(frozen=True)
class RegisterField:
    """A register of the address block: byte offset, how many words of 32 bits, and what a program may do."""

    name: str
    offset: int
    words: int
    access: Access


def parse_ports(module: str, text: str) -> tuple[Port, ...]:
    """Read the ports of a generated module, in their order.

    Args:
        module: Its name.
        text: SystemVerilog; every port on a line of its own, ``logic`` or a vector of it that ends at bit 0.
    """
    header = re.search(rf"^module {module} \((.*?)^\);", text, re.MULTILINE | re.DOTALL)
    if header is None:
        raise ValueError(f"no ports of {module} found")
    ports: list[Port] = []
    for line in filter(None, (line.split("//")[0].strip() for line in header.group(1).splitlines())):
        match = re.fullmatch(r"(in|out)put\s+logic\s+(?:\[(\d+):0\]\s*)?(\w+),?", line)
        if match is None:
            raise ValueError(f"port '{line}' of {module} is not understood")
        direction, high, name = match.groups()
        ports.append(Port(name, "in" if direction == "in" else "out", int(high or 0) + 1))
    return tuple(ports)


def gather_interfaces(ports: Iterable[Port]) -> tuple[Interface, ...]:
    """Gather the core's ports into its six interfaces; a port that belongs to none is an error."""
    ports = tuple(ports)
    tokens, logits, registers = (_members(ports, prefix) for prefix in ("s_axis_", "m_axis_", "s_axil_"))
    singles = {port.name: port for port in ports}
    interfaces = (
        Interface("s_axis", AXI_STREAM, "slave", tokens, _stream_parameters(tokens)),
        Interface("m_axis", AXI_STREAM, "master", logits, _stream_parameters(logits)),
        Interface("s_axil", AXI_MEMORY_MAPPED, "slave", registers, _lite_parameters(registers)),
        Interface(
            "clk",
            CLOCK,
            "slave",
            (("CLK", singles["clk_i"]),),
            (("ASSOCIATED_BUSIF", "s_axis:m_axis:s_axil"), ("ASSOCIATED_RESET", "rst_ni")),
        ),
        Interface("rst", RESET, "slave", (("RST", singles["rst_ni"]),), (("POLARITY", "ACTIVE_LOW"),)),
        Interface("irq", INTERRUPT, "master", (("INTERRUPT", singles["irq_o"]),), (("SENSITIVITY", "LEVEL_HIGH"),)),
    )
    gathered = {port.name for interface in interfaces for _, port in interface.ports}
    if gathered != set(singles):
        raise ValueError(f"ports {sorted(set(singles) - gathered)} belong to no interface")
    return interfaces


def register_fields(blocks: Sequence[str]) -> tuple[RegisterField, ...]:
    """Return all registers of the core, by address.

    Args:
        blocks: Names of the blocks of counters: the layers' engines, then the decoder.
    """
    fields = [
        RegisterField(register.name, int(register), _words(register), ACCESS.get(register.name, "read-only")) for register in Register
    ]
    for index, block in enumerate(blocks):
        for place, counter in enumerate(COUNTERS):
            fields.append(RegisterField(f"{block}_{counter}".upper(), counters_address(index) + 8 * place, 2, "read-only"))
    return tuple(sorted(fields, key=lambda field: field.offset))


def register_words(fields: Iterable[RegisterField]) -> tuple[tuple[str, int], ...]:
    """Return name and byte offset of every word: the register's name, numbered where it has several, the lowest word first."""
    return tuple(
        (field.name if field.words == 1 else f"{field.name}_{word}", field.offset + WORD_BYTES * word)
        for field in fields
        for word in range(field.words)
    )


def component_xml(
    interfaces: Sequence[Interface], blocks: Sequence[str], sources: Sequence[str], memories: Sequence[str], about: str
) -> str:
    """Write component.xml.

    Args:
        interfaces: Of the core.
        blocks: Names of the blocks of counters.
        sources: Verilog and SystemVerilog files, relative to the file itself.
        memories: Memory images, likewise.
        about: One sentence about this core.
    """
    ET.register_namespace("spirit", SPIRIT)
    ET.register_namespace("xsi", SCHEMA_INSTANCE)
    component = ET.Element(_tag("component"), {f"{{{SCHEMA_INSTANCE}}}schemaLocation": SCHEMA_LOCATION})
    for name, value in (("vendor", VENDOR), ("library", LIBRARY), ("name", IP_MODULE), ("version", VERSION)):
        _add(component, name, value)
    buses = _add(component, "busInterfaces")
    for interface in interfaces:
        _add_bus(buses, interface)
    _add_memory_map(component, blocks)
    model = _add(component, "model")
    view = _add(_add(model, "views"), "view")
    for name, value in (
        ("name", "rtl"),
        ("envIdentifier", ":synthesis:"),
        ("envIdentifier", ":simulation:"),
        ("language", "systemVerilog"),
        ("modelName", IP_MODULE),
    ):
        _add(view, name, value)
    _add(_add(view, "fileSetRef"), "localName", "rtl")
    _add_ports(model, interfaces)
    file_set = _add(_add(component, "fileSets"), "fileSet")
    _add(file_set, "name", "rtl")
    for name in sources:
        _add_file(file_set, name, "fileType", "verilogSource" if name.endswith(".v") else "systemVerilogSource")
    for name in memories:
        _add_file(file_set, name, "userFileType", "mem")
    _add(component, "description", about)
    ET.indent(component, "  ")
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(component, encoding="unicode") + "\n"


def _members(ports: Sequence[Port], prefix: str) -> tuple[tuple[str, Port], ...]:
    return tuple((port.name.removeprefix(prefix).upper(), port) for port in ports if port.name.startswith(prefix))


def _stream_parameters(ports: tuple[tuple[str, Port], ...]) -> tuple[tuple[str, str], ...]:
    signals = dict(ports)
    optional = ("TREADY", "TLAST", "TKEEP", "TSTRB")
    return (("TDATA_NUM_BYTES", str(signals["TDATA"].bits // 8)), *((f"HAS_{name}", str(int(name in signals))) for name in optional))


def _lite_parameters(ports: tuple[tuple[str, Port], ...]) -> tuple[tuple[str, str], ...]:
    signals = dict(ports)
    return (("PROTOCOL", "AXI4LITE"), ("DATA_WIDTH", str(signals["WDATA"].bits)), ("ADDR_WIDTH", str(signals["AWADDR"].bits)))


def _words(register: Register) -> int:
    if register is Register.MODEL_HASH:
        return HASH_WORDS
    return 2 if register in WIDE else 1


def _tag(name: str) -> str:
    return f"{{{SPIRIT}}}{name}"


def _add(parent: ET.Element, name: str, text: str | None = None) -> ET.Element:
    child = ET.SubElement(parent, _tag(name))
    child.text = text
    return child


def _add_reference(parent: ET.Element, name: str, vlnv: str) -> None:
    keys = ("vendor", "library", "name", "version")
    ET.SubElement(parent, _tag(name), {_tag(key): value for key, value in zip(keys, vlnv.split(":"), strict=True)})


def _add_bus(buses: ET.Element, interface: Interface) -> None:
    bus = _add(buses, "busInterface")
    _add(bus, "name", interface.name)
    _add_reference(bus, "busType", interface.type.bus)
    _add_reference(bus, "abstractionType", interface.type.abstraction)
    mode = _add(bus, interface.mode)
    if interface.type is AXI_MEMORY_MAPPED:
        ET.SubElement(mode, _tag("memoryMapRef"), {_tag("memoryMapRef"): MEMORY_MAP})
    maps = _add(bus, "portMaps")
    for signal, port in interface.ports:
        entry = _add(maps, "portMap")
        _add(_add(entry, "logicalPort"), "name", signal)
        _add(_add(entry, "physicalPort"), "name", port.name)
    parameters = _add(bus, "parameters")
    for name, value in interface.parameters:
        parameter = _add(parameters, "parameter")
        _add(parameter, "name", name)
        _add(parameter, "value", value)


def _add_memory_map(component: ET.Element, blocks: Sequence[str]) -> None:
    memory_map = _add(_add(component, "memoryMaps"), "memoryMap")
    _add(memory_map, "name", MEMORY_MAP)
    block = _add(memory_map, "addressBlock")
    for name, value in (
        ("name", ADDRESS_BLOCK),
        ("baseAddress", "0x0"),
        ("range", str(ADDRESS_BYTES)),
        ("width", str(8 * WORD_BYTES)),
        ("usage", "register"),
        ("access", "read-write"),
    ):
        _add(block, name, value)
    for field in register_fields(blocks):
        register = _add(block, "register")
        _add(register, "name", field.name)
        if field.words > 1:
            _add(register, "dim", str(field.words))
        _add(register, "addressOffset", f"0x{field.offset:03X}")
        _add(register, "size", str(8 * WORD_BYTES))
        _add(register, "access", field.access)
    _add(memory_map, "addressUnitBits", "8")


def _add_ports(model: ET.Element, interfaces: Sequence[Interface]) -> None:
    ports = _add(model, "ports")
    for interface in interfaces:
        for _, port in interface.ports:
            entry = _add(ports, "port")
            _add(entry, "name", port.name)
            wire = _add(entry, "wire")
            _add(wire, "direction", port.direction)
            if port.bits > 1:
                vector = _add(wire, "vector")
                _add(vector, "left", str(port.bits - 1))
                _add(vector, "right", "0")


def _add_file(file_set: ET.Element, name: str, kind: str, value: str) -> None:
    file = _add(file_set, "file")
    _add(file, "name", name)
    _add(file, kind, value)
